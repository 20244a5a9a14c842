"""Alarms, dashboard and runbook speak of what ``/metrics`` shows, and every alarm has its section."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from storage.figures.metrics import Figures, Leases, Notices, Queue, Use
from storage.spending.brakes import FAILURES_TO_OPEN, Brake
from web import traffic
from web.metrics import Reading, shown

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "docs" / "monitoring"
RUNBOOK = (ROOT / "docs" / "operations.md").read_text("utf-8")
#: What Prometheus adds by itself.
OF_PROMETHEUS = {"up": {"job", "instance"}}

ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
BOARD: dict[str, Any] = json.loads((MONITORING / "grafana.json").read_text("utf-8"))
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [rule["expr"] for rule in ALERTS] + [target["expr"] for panel in PANELS for target in panel["targets"]]


def one_of_everything() -> Reading:
    """A reading with something in every place, so that every metric shows its labels."""
    brake = Brake("https://models.example/v1", "m", "closed", datetime(2030, 1, 1, tzinfo=UTC), "failing", 5, False,
                  datetime(2026, 1, 1, tzinfo=UTC))  # fmt: skip
    figures = Figures(
        living={("pending", "course"): 1},
        retries=1,
        ended={("done", "course"): 1},
        queues={"course": Queue(1, 1, 1.0)},
        moved={"fill": (1, 1)},
        leases=Leases(1, 1, 1, 1.0, 1.0),
        calls={("m", "ok"): Use(1, 1.0, 1, 1, 1.0)},
        in_flight={"m": 1},
        brakes=[brake],
        corrections={"stale": 1},
        catalogs_behind=1,
        documents_behind=1,
        notices={"webhook": Notices(1, 1.0)},
        told={("webhook", "delivered"): 1},
        schedules={"started": 1},
        schedules_overdue=1.0,
        connections=1,
        connections_limit=2,
    )
    return Reading({"database": True, "redis": True, "objects": True}, figures, {"course": 1})


def shown_metrics() -> dict[str, set[str]]:
    """Every name that ``/metrics`` shows, with its labels."""
    traffic.count("jobs", "GET", 200, 0.1)
    traffic.stream_began("job", 1.0, resumed=True)
    traffic.stream_ended("job", "gone", 1.0, 0.1)
    names: dict[str, set[str]] = {}
    for line in shown(one_of_everything()).decode().splitlines():
        if not line.startswith("#"):
            name, labels = re.fullmatch(r"(\w+)(?:\{(.*)\})? \S+", line).groups()  # type: ignore[union-attr]
            names.setdefault(name, set()).update(re.findall(r'(\w+)="', labels or ""))
    return {name: labels for name, labels in names.items() if not name.endswith("_created")}


SHOWN = shown_metrics()


def used(expression: str) -> dict[str, set[str]]:
    """The metrics an expression names, with the labels it looks at in braces."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"\b((?:coursewright_\w+|up))\b(?:\{([^}]*)\})?", bare):
        found.setdefault(name, set()).update(re.findall(r"(\w+)\s*[=!]", labels))
    return found


def grouped(expression: str) -> set[str]:
    return {word for words in re.findall(r"\bby\s*\(([^)]*)\)", expression) for word in re.findall(r"\w+", words)}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_speaks_of_what_there_is(expression: str) -> None:
    known = SHOWN | OF_PROMETHEUS
    names = used(expression)
    assert names and names.keys() <= known.keys()
    for name, labels in names.items():
        assert labels <= known[name], name
    assert grouped(expression) <= set().union(*(known[name] for name in names))
    for opening, closing in ("()", "[]", "{}"):
        assert expression.count(opening) == expression.count(closing)


def around(expression: str, at: int) -> list[tuple[str, set[str] | None]]:
    """The aggregations around a place, the innermost first, each with the labels of its ``by``; none without one."""
    found: list[tuple[str, set[str] | None]] = []
    depth = 0
    for place in range(at - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(expression[place], 0)
        if depth < 0:
            depth = 0
            call = re.search(r"\b(\w+)(?:\s+by\s*\(([^)]*)\))?\s*$", expression[:place])
            if call and call[1] in {"sum", "max", "min", "avg", "count"}:
                found.append((call[1], set(re.findall(r"\w+", call[2])) if call[2] is not None else None))
    return found


def is_taken_once(expression: str) -> bool:
    """Whether what is the same on every machine is taken once, however many machines are asked: the greatest of them
    first, by all labels that are not given when more is done with it."""
    for found in re.finditer(r"\b(coursewright_\w+)(?:\{([^}]*)\})?", expression):
        if found[1].startswith(("coursewright_http_", "coursewright_dependency_up")):
            continue  # each machine's own
        given = set(re.findall(r'(\w+)\s*="', found[2] or ""))
        match around(expression, found.start()):
            case [("max", by), *outer] if not outer or SHOWN[found[1]] - given <= (by or set()):
                continue
        return False
    return True


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_counts_nothing_once_for_each_machine(expression: str) -> None:
    assert is_taken_once(expression)


@pytest.mark.parametrize(
    ("expression", "once"),
    [
        ("coursewright_leases > 0", False),
        ("sum(coursewright_leases)", False),
        ("max(coursewright_leases) > 0 or sum(coursewright_queue_depth) > 0", False),
        ("sum(max(coursewright_queue_depth))", False),
        ("sum(max by (queue) (coursewright_queue_depth))", True),
        ('sum(max by (job_type) (delta(coursewright_jobs{status="stale"}[1h])))', True),
        ('sum(max by (job_type) (coursewright_jobs{status=~"stale|done"}))', False),
        ('sum(rate(coursewright_http_requests_total{status="500"}[5m]))', True),
    ],
)
def test_what_is_counted_twice_is_noticed(expression: str, once: bool) -> None:
    assert is_taken_once(expression) is once


def test_what_is_wrong_is_noticed() -> None:
    assert used('sum by (le) (rate(coursewright_nothing{status=~"5.."}[5m]))') == {"coursewright_nothing": {"status"}}
    assert grouped("sum by (le, model) (x)") == {"le", "model"}


def test_every_metric_is_explained_and_no_other() -> None:
    families = {re.sub(r"_(bucket|sum|count)$", "", name) if "duration" in name else name for name in SHOWN}
    table = RUNBOOK.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(coursewright_\w+)` \|([^|]*)\|", table, re.MULTILINE))
    assert rows.keys() == families
    for name, labels in rows.items():
        of_it = SHOWN.get(name) or SHOWN.get(f"{name}_count") or set()
        assert set(re.findall(r"`(\w+)`", labels)) == of_it, name


class TestAlarms:
    @pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
    def test_each_says_what_it_is_and_has_its_section(self, rule: dict[str, Any]) -> None:
        name = rule["alert"]
        assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"\d+[mh]", rule["for"])
        severity = rule["labels"]["severity"]
        assert severity in {"page", "ticket"}
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"
        section = RUNBOOK.partition(f"\n### {name}\n")[2].partition("\n#")[0].strip()
        assert section.startswith(f"*{severity.capitalize()}.* "), f"docs/operations.md has no section {name}"

    def test_every_section_has_its_alarm(self) -> None:
        sections = re.findall(r"^### (Coursewright\w+)$", RUNBOOK, re.MULTILINE)
        assert sections == [rule["alert"] for rule in ALERTS]

    def test_what_alarms_tell_in_braces_is_known_to_prometheus(self) -> None:
        for rule in ALERTS:
            for told in re.findall(r"\{\{(.*?)\}\}", rule["annotations"]["summary"]):
                value, *formats = (part.strip() for part in told.split("|"))
                assert value == "$value" or re.fullmatch(r"\$labels\.(\w+)", value)
                assert set(formats) <= {"humanize", "humanizeDuration", "humanizePercentage"}

    def test_a_model_that_is_left_alone_raises_one_while_calls_try(self) -> None:
        [rule] = [rule for rule in ALERTS if rule["alert"] == "CoursewrightModelBraked"]
        assert f"(coursewright_brake_failures) >= {FAILURES_TO_OPEN} or " in " ".join(rule["expr"].split())


class TestDashboard:
    def test_its_panels_stand_beside_each_other(self) -> None:
        taken = set()
        for panel in BOARD["panels"]:
            place = panel["gridPos"]
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
            taken |= cells
        assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])

    def test_it_takes_whatever_prometheus_there_is(self) -> None:
        [variable] = BOARD["templating"]["list"]
        assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
        for panel in PANELS:
            for source in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
                assert source == {"type": "prometheus", "uid": "${datasource}"}

    def test_legends_name_labels_that_are_left(self) -> None:
        for panel in PANELS:
            for target in panel["targets"]:
                labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                of_all = set().union(*(SHOWN[name] for name in used(target["expr"])))
                assert labels <= (grouped(target["expr"]) or of_all), panel["title"]


def test_links_inside_the_documents_lead_somewhere() -> None:
    """Between operations.md, deploy.md and api.md; an anchor is what GitHub makes of a heading."""
    texts = {path.name: path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md")}
    anchors = {
        name: {anchor(head) for head in re.findall(r"^#+ (.*)$", text, re.MULTILINE)} for name, text in texts.items()
    }
    for name in ("operations.md", "deploy.md"):
        for target in re.findall(r"\]\(([^)\s]+)\)", texts[name]):
            file, _, place = target.partition("#")
            if "://" in target:
                continue
            assert not file or (ROOT / "docs" / file).exists(), f"{name}: {target}"
            if place and (not file or file in anchors):
                assert place in anchors[file or name], f"{name}: {target}"


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
