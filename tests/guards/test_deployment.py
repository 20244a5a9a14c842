"""What is deployed, read without a container engine: the Dockerfile, what goes into it, and docker-compose.yml."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from schema.errors import SettingsError
from schema.settings import read_settings
from schema.version import VERSION

ROOT = Path(__file__).parents[2]
OURS = "coursewright:"
#: The one service that is root: it gives a fresh volume to the user who writes into it, and sees nothing else.
ROOT_ONCE = "store-folder"
#: Settings of a process on one machine that a container has no use for.
LOCAL = {"COURSEWRIGHT_HOME"}
_EXACT = re.compile(r"[\w./-]+:(?:\d+\.\d+(?:\.\d+)?(?:-[\w.]+)?|RELEASE\.[0-9TZ-]+)")
_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|KEY|AUTH")
_ASKED_FOR = re.compile(r"\$\{[A-Z0-9_]+:\?[\w ,]+\}")

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = [name for name, service in SERVICES.items() if service["restart"] != "no"]
every_service = pytest.mark.parametrize("name", SERVICES)


# --- the Dockerfile ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile: its word and what follows, continued lines joined."""

    word: str
    rest: str


def read_dockerfile(text: str) -> list[Instruction]:
    """Every instruction, in order. Fails on a line that is none of those this project uses."""
    known = {"FROM", "ENV", "RUN", "COPY", "WORKDIR", "USER", "EXPOSE", "CMD"}
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, rest = line.partition(" ")
        assert word in known, f"not an instruction this project uses: {line}"
        found.append(Instruction(word, " ".join(rest.split())))
    return found


DOCKERFILE = read_dockerfile((ROOT / "Dockerfile").read_text("utf-8"))


def of_word(word: str) -> list[str]:
    return [instruction.rest for instruction in DOCKERFILE if instruction.word == word]


def copied() -> list[tuple[str, str]]:
    """What is copied out of the repository, as (source, target)."""
    pairs = []
    for rest in of_word("COPY"):
        if not rest.startswith("--from="):
            *sources, target = rest.split()
            pairs += [(source, target) for source in sources]
    return pairs


def test_the_image_stands_on_an_exact_python() -> None:
    bases = [rest.split()[0] for rest in of_word("FROM")]
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-[a-z]+", bases[0])


def test_the_image_ends_as_somebody_without_rights() -> None:
    last = max(place for place, one in enumerate(DOCKERFILE) if one.word == "FROM")
    users = [one.rest for one in DOCKERFILE[last:] if one.word == "USER"]
    assert users and re.fullmatch(r"[1-9]\d+:[1-9]\d+", users[-1])
    after = [one.word for one in DOCKERFILE[DOCKERFILE.index(Instruction("USER", users[-1])) + 1 :]]
    assert set(after) <= {"EXPOSE", "CMD"}


def test_the_image_has_every_top_level_package_and_nothing_for_tests() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert packages >= {"schema", "storage", "tasks", "web"}
    sources = {source for source, _ in copied()}
    assert sources >= packages | {"celeryconfig.py", "Procfile"}
    assert not sources & {"tests", "bench", ".", "requirements-dev.txt"}
    for source, target in copied():
        assert (ROOT / source).exists()
        if source in packages:
            assert target == f"./{source}"


def test_the_image_installs_the_pinned_requirements() -> None:
    installs = [rest for rest in of_word("RUN") if "pip install" in rest]
    assert len(installs) == 1
    assert re.search(r"-r \S*requirements\.txt -c \S*constraints\.txt", installs[0])


def test_our_own_code_comes_first_on_the_path() -> None:
    assert "/app" in of_word("WORKDIR")
    assert any("PYTHONPATH=/app" in rest.split() for rest in of_word("ENV"))


def test_one_version_is_named_everywhere() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"] == VERSION
    # Another name can be given from outside, one for each release, so that building one leaves the one before.
    images = {service["image"] for service in SERVICES.values() if is_ours(service)}
    assert images == {f"{OURS}${{COURSEWRIGHT_RELEASE:-{VERSION}}}"}


def test_the_image_holds_no_secret() -> None:
    for rest in of_word("ENV"):
        assert not _SECRET.search(rest)


def test_what_is_copied_is_let_through_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_through = {rule[1:] for rule in rules if rule.startswith("!")}
    assert let_through == {source for source, _ in copied()}
    again = [rule for rule in rules[1:] if not rule.startswith("!")]
    assert any(fnmatch("tasks/__pycache__", rule) for rule in again)


# --- docker-compose.yml --------------------------------------------------------------------------------------------


def environments() -> Iterator[tuple[str, str, str | None]]:
    """Every variable as (service, name, value); a value of none is passed on from outside."""
    for service, content in SERVICES.items():
        for name, value in content.get("environment", {}).items():
            yield service, name, None if value is None else str(value)


def names_read() -> set[str]:
    """The variables ``schema.settings`` looks at, told by reading the settings from a mapping that listens."""

    class Listening(dict[str, str]):
        def get(self, key: str, default: Any = None) -> Any:
            asked.add(key)
            return default

    asked: set[str] = set()
    with pytest.raises(SettingsError):
        read_settings(Listening())
    return asked


def procfile() -> dict[str, list[str]]:
    """Name and command of each process, read the way a shell splits words."""
    lines = (ROOT / "Procfile").read_text("utf-8").splitlines()
    pairs = [line.partition(":") for line in lines if line.strip() and not line.startswith("#")]
    return {name.strip(): shlex.split(command) for name, _, command in pairs}


def words_of(command: str | list[str]) -> list[str]:
    return shlex.split(command) if isinstance(command, str) else command


def is_ours(service: Mapping[str, Any]) -> bool:
    return str(service["image"]).startswith(OURS)


def test_all_parts_are_there() -> None:
    assert set(SERVICES) >= {"postgres", "valkey", "minio", "migrate"} | set(procfile())


@every_service
def test_an_image_is_pinned_or_built_here(name: str) -> None:
    image = str(SERVICES[name]["image"])
    unless_told = re.sub(r"\$\{[A-Z_]+:-(.*?)\}", r"\1", image)
    assert _EXACT.fullmatch(unless_told), f"{image} names no exact version"
    assert SERVICES[name].get("build") == ("." if is_ours(SERVICES[name]) else None)


@every_service
def test_a_service_says_what_happens_when_it_ends(name: str) -> None:
    assert SERVICES[name]["restart"] in {"unless-stopped", "no"}


@pytest.mark.parametrize("name", LASTING)
def test_a_lasting_service_says_whether_it_is_well(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in {"CMD", "CMD-SHELL"} and len(check["test"]) > 1
    assert {"interval", "timeout", "retries"} <= set(check)


@every_service
def test_a_service_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    if name == ROOT_ONCE:
        assert (service["restart"], service["network_mode"], service["cap_add"]) == ("no", "none", ["CHOWN"])
        assert "environment" not in service
    else:
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
        assert "cap_add" not in service


@every_service
def test_a_port_is_published_on_this_machine_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert str(port).startswith("127.0.0.1:")
    assert "network_mode" not in SERVICES[name] or SERVICES[name]["network_mode"] == "none"


@every_service
def test_data_is_kept_in_named_volumes(name: str) -> None:
    for mount in SERVICES[name].get("volumes", []):
        assert mount.split(":")[0] in COMPOSE["volumes"]


@every_service
def test_a_service_waits_for_what_it_needs_to_be_there(name: str) -> None:
    waits = {"service_healthy": LASTING, "service_completed_successfully": set(SERVICES) - set(LASTING)}
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        assert other in waits[wait["condition"]]


@pytest.mark.parametrize("name", procfile())
def test_a_process_runs_as_the_procfile_says(name: str) -> None:
    service = SERVICES[name]
    assert is_ours(service)
    assert words_of(service["command"]) == procfile()[name]
    assert {"migrate", "buckets", "valkey"} <= set(service["depends_on"])


def test_the_image_runs_the_web_unless_told_otherwise() -> None:
    assert of_word("CMD") == [str(procfile()["web"]).replace("'", '"')]


def test_migrating_is_a_command_of_ours() -> None:
    assert SERVICES["migrate"]["command"].split() == ["python", "-m", "web.cli", "db", "upgrade"]
    assert (ROOT / "web" / "cli" / "__main__.py").exists()


def test_no_secret_has_a_value_here() -> None:
    """A secret is passed on from outside, or asked for with words that say what it is. It never has a default."""
    given = [(service, value) for service, name, value in environments() if value is not None and _SECRET.search(name)]
    for service, _, value in environments():
        given += [(service, userinfo.partition(":")[2]) for userinfo in re.findall(r"//(.*)@", value or "")]
    for service, content in SERVICES.items():
        words = words_of(content.get("command", []))
        given += [
            (service, words[at + 1]) for at, word in enumerate(words) if re.match("--.*(pass|secret|token)", word)
        ]
    assert {"postgres", "valkey", "minio", "web", "flower"} <= {service for service, _ in given}
    for service, value in given:
        assert _ASKED_FOR.fullmatch(value), f"{service} has a secret that isn't asked for"


def test_only_words_that_are_no_secret_have_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    with_default = set(re.findall(r"\$\{([A-Z0-9_]+):?-", text))
    assert with_default and not {name for name in with_default if _SECRET.search(name)}


def test_every_variable_passed_is_one_that_is_read() -> None:
    """Ours are read by ``schema.settings``; the servers' carry the server's name."""
    ours = names_read()
    assert {"DATABASE_URL", "SECRET_KEY", "WEB_CONCURRENCY"} <= ours
    prefixes = {"postgres": "POSTGRES_", "valkey": "VALKEYCLI_", "minio": "MINIO_"}
    for service, name, _ in environments():
        known = name in ours if is_ours(SERVICES[service]) else name.startswith(prefixes[service])
        assert known, f"{name} of {service} is read by nobody"


def test_every_setting_can_be_given_from_outside() -> None:
    passed = {name for service, name, _ in environments() if is_ours(SERVICES[service])}
    assert names_read() - passed == LOCAL


def test_inside_its_container_a_process_listens_to_others() -> None:
    for name in ("web", "flower"):
        assert SERVICES[name]["environment"]["HOST"] == "0.0.0.0"  # noqa: S104 - within the containers' own network
        assert len(SERVICES[name]["ports"]) == 1


def test_the_readme_tells_of_every_setting() -> None:
    rows = [line for line in (ROOT / "README.md").read_text("utf-8").splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in re.findall(r"`([A-Z0-9_]+)`", row.split("|")[1])}
    assert names_read() <= told
