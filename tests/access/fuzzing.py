"""The API, asked by schemathesis for what its own description says: every check it has, in every way it can ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from schema.member import is_user_id
from web.body import write_cursor

#: Operations whose bodies have to fulfil more than a JSON Schema can say, and what that is.
BEYOND_A_SCHEMA = {
    "POST /api/jobs": "the subject must be one that can be served, and the courses and exams named must be there",
    "POST /api/jobs/batch": "as for POST /api/jobs",
    "POST /api/generation/start": "the exam named must be there",
    "POST /api/exams": "the body is JSON or a file, and the query is for files alone; keys must be among the options",
    "POST /api/exams/preview": "as for POST /api/exams",
    "PUT /api/exams/{exam_id}": "keys must be among the options",
    "POST /api/courses/{course_id}/approve": "to a JSON Schema 1.0 is an integer too, and here it is refused",
    "POST /api/admin/dead-letters/requeue": "as for approve",
    "PUT /api/settings": "a budget needs models whose price is known",
    "POST /api/schedules": "times must be ones that come, and the request is as for POST /api/jobs",
    "PATCH /api/schedules/{schedule_id}": "as for POST /api/schedules",
    "POST /api/tokens": "an end must be in the future",
    "PATCH /api/tokens/{token_id}": "an end must be in the future",
    "POST /api/webhooks": "the host must have a public address",
    "PATCH /api/webhooks/{webhook_id}": "the host must have a public address",
}
#: Addresses that are also of the form of another rule. Werkzeug then allows what either takes.
OF_TWO_RULES = ("POST /api/exams/preview", "POST /api/jobs/batch")
#: What is in a file is no business of a JSON Schema's; a picture that is called JSON is answered with 400.
TAKE_FILES = ("POST /api/exams", "POST /api/exams/preview")
#: Says with 200 what is wrong with what was sent: that is what it is for.
TELLS_FAULTS = "POST /api/exams/preview"
#: A token that is revoked is still shown, with when that was.
STILL_SHOWN = ("GET /api/tokens/{token_id}", "DELETE /api/tokens/{token_id}", "PATCH /api/tokens/{token_id}")
#: A user who does this to themselves is refused everything from then on. A program asks for it.
ENDS_ONESELF = "DELETE /api/members/{user_id}"
PHASES = ("examples", "coverage", "fuzzing", "stateful")
#: Wrong credentials beside the right ones would be refused each time; ``ignored_auth`` tries them, and none, by itself.
_GENERATION = {"no-shrink": True, "database": "none", "with-security-parameters": False}
#: For how many seconds an answer is waited for, and a stream is listened to.
_PATIENCE = 10.0
_ACCEPTED = ["2xx", "3xx", "401", "403", "404", "409", "422", "429", "503"]


def _formats() -> None:
    """Texts in the forms that are ours."""
    moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
    schemathesis.openapi.format("cursor", st.tuples(moments, st.uuids()).map(write_cursor))
    schemathesis.openapi.format("moment", st.one_of(moments.map(datetime.isoformat), st.dates().map(str)))
    words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
    schemathesis.openapi.format("user-id", words.filter(is_user_id))


@dataclass
class Found:
    """What came of it: how many requests were sent, to how many operations, and every fault, each kind once."""

    requests: int = 0
    operations: set[str] = field(default_factory=set)
    faults: dict[tuple[str, str, str], str] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)

    def note(self, event: Any) -> None:
        """Take up what the engine tells."""
        if isinstance(event, events.NonFatalError | events.FatalError):
            self.faults.setdefault(("error", str(getattr(event, "label", "")), type(event).__name__), repr(event))
        recorder = getattr(event, "recorder", None)
        if recorder is None or not type(event).__name__.endswith("Finished"):
            return
        self.requests += len(recorder.interactions)
        for interaction in recorder.interactions.values():
            if interaction.response is not None:
                self.statuses[interaction.response.status_code] += 1
        for case_id, checks in recorder.checks.items():
            self.operations.add(recorder.cases[case_id].value.operation.label)
            for check in checks:
                if check.failure_info is not None:
                    self._note_fault(check, recorder.interactions.get(case_id))

    def _note_fault(self, check: Any, interaction: Any) -> None:
        failure = check.failure_info.failure
        answer = interaction.response if interaction is not None else None
        key = (check.name, str(failure.operation), failure.title)
        body = answer.content[:300].decode("utf-8", "replace") if answer is not None else ""
        self.faults.setdefault(key, f"{failure.message[:500]}\n{check.failure_info.code_sample[:600]}\n{body}")

    def __str__(self) -> str:
        return "\n\n".join(f"{' | '.join(key)}\n{told}" for key, told in self.faults.items())


def examine(
    url: str,
    headers: Mapping[str, str],
    *,
    tags: Sequence[str] = (),
    phases: tuple[str, ...] = PHASES,
    examples: int = 1,
    seconds: float | None = None,
    seed: int = 1,
) -> Found:
    """Ask a running system as whoever has these headers. ``tags``: only operations of these, none meaning all;
    ``examples``: of each operation. ``seconds``: ends there, and asks something else each time. A catalog's streams are
    left out: they never end, and each request would wait for that (``tests/integration/test_streams.py``)."""
    _formats()
    given: dict[str, Any] = {
        "headers": dict(headers),
        "seed": seed,
        "continue-on-failure": True,
        "max-stream-events": 1,
        "request-timeout": _PATIENCE,
        "generation": {**_GENERATION, "max-examples": examples, "deterministic": seconds is None},
        "phases": {phase: {"enabled": phase in phases} for phase in PHASES},
        "operations": [*_left_out(tags, "Authorization" in headers), *_operations()],
    }
    config = SchemathesisConfig.from_dict(given)
    schema = schemathesis.openapi.from_url(f"{url}/api/openapi.json", config=config)
    schema.config.max_time = seconds
    found = Found()
    for event in from_schema(schema).execute():
        found.note(event)
    return found


def _left_out(tags: Sequence[str], is_user: bool) -> Iterator[dict[str, Any]]:
    yield {"include-path-regex": "catalog/stream", "enabled": False}
    if is_user:
        yield {"include-name": ENDS_ONESELF, "enabled": False}
    if tags:
        yield {"exclude-tag": list(tags), "enabled": False}


def _operations() -> Iterator[dict[str, Any]]:
    for name in dict.fromkeys((*BEYOND_A_SCHEMA, *STILL_SHOWN)):
        checks: dict[str, Any] = {}
        if name in BEYOND_A_SCHEMA:
            accepted = [*_ACCEPTED, "400"] if name in TAKE_FILES else _ACCEPTED
            checks["positive_data_acceptance"] = {"expected-statuses": accepted}
        if name in OF_TWO_RULES:
            checks["allow_header_conformance"] = {"enabled": False}
        if name == TELLS_FAULTS:
            checks["negative_data_rejection"] = {"expected-statuses": ["200", "4xx"]}
        if name in STILL_SHOWN:
            checks["use_after_free"] = {"enabled": False}
        yield {"include-name": name, "checks": checks}
