"""Alarms, dashboard and runbook speak of what ``/metrics`` shows, and every alarm has its section."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from storage.brakes import Brake
from storage.metrics import Figures, Leases, Queue, Use
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
        brakes=[brake],
        corrections={"stale": 1},
        catalogs_behind=1,
        documents_behind=1,
        connections=1,
        connections_limit=2,
    )
    return Reading(figures, {"course": 1})


def shown_metrics() -> dict[str, set[str]]:
    """Every name that ``/metrics`` shows, with its labels."""
    traffic.count("jobs", "GET", 200, 0.1)
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
