"""Whether the time of a refusal tells how near a wrong token is to a right one: requests with wrong tokens of several
kinds, in turn, so that a slow moment of the machine meets all of them.

    python -m bench.token_timing [--rounds 4000]
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from itertools import count
from uuid import UUID

from flask.testing import FlaskClient

from bench.engine import fresh_home, running
from schema.settings import DEMO_ORGANIZATION_ID, read_settings
from storage import embedded, organizations, wall
from storage.bus import Bus
from storage.db import Database, make_engine
from storage.embedded import read_secrets
from storage.objects import ObjectStore
from storage.organizations import Organization
from storage.postgres.connecting import database_of
from storage.postgres.schema_version import upgrade
from tasks import deps as wiring
from tasks import tokens
from tasks.commands import Asker
from tasks.deps import Deps
from web.app import create_app

ORGANIZATION = UUID(DEMO_ORGANIZATION_ID)
ENVIRONMENTS = "the-environments-agent-token-0123456789"
_NEW = {"name": "bench", "role": "author", "scopes": None, "expiresAt": None}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=4000)
    rounds = options.parse_args().rounds
    with fresh_home() as home:
        keys = read_secrets(home)
        (postgres, url), (valkey, redis_url), (s3, s3_url) = (
            made(home, keys) for made in (embedded.postgres, embedded.valkey, embedded.s3)
        )
        with running([postgres, valkey, s3]):
            settings = read_settings(
                {
                    **embedded.role_urls(url, keys),
                    **{"DATABASE_URL": url, "REDIS_URL": redis_url, "S3_ENDPOINT_URL": s3_url},
                    **{"S3_ACCESS_KEY": keys.s3_access, "S3_SECRET_KEY": keys.s3_secret},
                    **{"SECRET_KEY": keys.secret_key, "AGENT_TOKEN": ENVIRONMENTS, "COURSEWRIGHT_HOME": str(home)},
                    **{"RATE_LIMIT_PER_MINUTE": "1000000", "LOG_LEVEL": "ERROR"},
                }
            )
            owner = Database(make_engine(url, name="owner", pool_size=1))
            upgrade(owner.engine)
            organizations.ensure(owner, Organization(ORGANIZATION, "bench", "Bench"))
            web = database_of(settings, "web", pool_size=2)
            deps = Deps(settings, web, Bus(settings.redis_url), ObjectStore(settings.s3), send=lambda _: None)
            wiring.use(deps)
            with wall.within(ORGANIZATION):
                right = tokens.make(deps, Asker(ORGANIZATION, None), _NEW)["token"]
            client = create_app().test_client()
            measure(client, "the environment's token", wrong_ones(ENVIRONMENTS, 0), rounds)
            measure(client, "an organization's token", wrong_ones(right, 12), rounds)


def wrong_ones(right: str, at: int) -> dict[str, str]:
    """Wrong tokens, from the nearest to the farthest; the secret begins ``at`` this character."""
    last, first = ("A" if right[-1] != "A" else "B"), ("A" if right[at] != "A" else "B")
    return {
        "wrong in its last character": right[:-1] + last,
        "wrong in its first": right[:at] + first + right[at + 1 :],
        "wrong in all": right[:at] + "q" * (len(right) - at),
        "the last one, again": right[:-1] + last,
    }


def measure(client: FlaskClient, words: str, wrong: dict[str, str], rounds: int) -> None:
    """Medians in microseconds, and how far each is from the first, with the middle 95 % of a thousand bootstraps. The
    line that repeats the first shows what this machine can tell apart."""
    times: dict[str, list[float]] = {name: [] for name in wrong}
    order = list(wrong)
    callers = count()
    for _ in range(rounds):
        random.shuffle(order)
        for name in order:
            headers = {"X-Agent-Token": wrong[name], "X-Organization-Id": str(ORGANIZATION)}
            # Each from somewhere else: the same wrong one from one place twice is no second guess, and so less work.
            number = next(callers)
            address = {"REMOTE_ADDR": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}
            began = time.perf_counter()
            answer = client.get("/api/jobs", headers=headers, environ_overrides=address)
            times[name].append(time.perf_counter() - began)
            assert answer.status_code == 401
    print(words)
    nearest = next(iter(times.values()))
    for name, taken in times.items():
        apart = [mine - theirs for mine, theirs in zip(taken, nearest, strict=True)]
        low, high = _middle(apart)
        print(
            f"  {name:<30} {statistics.median(taken) * 1e6:7.1f} us   {statistics.median(apart) * 1e6:+6.2f} us "
            f"({low * 1e6:+.2f} to {high * 1e6:+.2f})"
        )


def _middle(apart: list[float]) -> tuple[float, float]:
    medians = sorted(statistics.median(random.choices(apart, k=len(apart))) for _ in range(1000))
    return medians[25], medians[974]


if __name__ == "__main__":
    main()
