"""How the doctor judges what it was told, without asking anybody."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schema.clock import utc_now
from storage.figures.metrics import Figures, Leases, Queue
from storage.health import DatabaseFacts, Session
from storage.spending.brakes import Brake, State
from tests.unit.test_settings import ENVIRON
from web.doctor import host, servers, work
from web.doctor.finding import Finding

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOUND: dict[str, Any] = {
    **{"version": "18.6", "major": 18, "role": "coursewright", "may_create": True, "lacking": []},
    **{"connections": 10, "connections_limit": 100, "now": NOW, "sessions": [], "unused_indexes": []},
}
IDLE: dict[str, Any] = {
    **{"living": {}, "retries": 0, "ended": {}, "queues": {}, "moved": {}, "leases": Leases(0, 0, 0, 0, 0)},
    **{"calls": {}, "in_flight": {}, "brakes": [], "corrections": {}, "catalogs_behind": 0, "documents_behind": 0},
    **{"notices": {}, "told": {}, "schedules": {}, "schedules_overdue": 0.0},
    **{"connections": 1, "connections_limit": 100},
}


def facts(**changes: Any) -> DatabaseFacts:
    return DatabaseFacts(**SOUND | changes)


def figures(**changes: Any) -> Figures:
    return Figures(**IDLE | changes)


def states(*findings: Finding) -> list[str]:
    for finding in findings:
        assert (finding.state == "ok") is (not finding.mend), "what is not in order says how to mend it"
    return [finding.state for finding in findings]


class TestSettings:
    def found(self, **changes: str) -> list[Finding]:
        sound = {"SECRET_KEY": "x" * 48, "FLOWER_BASIC_AUTH": "operator:word"}
        return list(host.settings_of(ENVIRON | sound | changes))

    def test_sound_ones(self) -> None:
        assert states(*self.found()) == ["ok"]

    @pytest.mark.parametrize(
        ("changes", "warned"),
        [
            ({"PUBLIC_URL": "https://courses.example"}, True),
            ({"PUBLIC_URL": "https://courses.example", "TRUSTED_PROXIES": "1"}, False),
            ({"PUBLIC_URL": "http://courses.example"}, False),
        ],
    )
    def test_a_proxy_that_is_not_trusted_makes_everybody_one(self, changes: dict[str, str], warned: bool) -> None:
        found = [finding for finding in self.found(**changes) if finding.state == "warning"]
        assert states(*found) == ["warning"] * warned
        assert not warned or "TRUSTED_PROXIES" in found[0].line()

    def test_each_fault_has_a_line_with_its_name(self) -> None:
        found = self.found(DATABASE_URL="", S3_ENDPOINT_URL="", JOB_MAX_RETRIES="many")
        assert states(*found) == ["fault"] * 3
        for name, finding in zip(("DATABASE_URL", "S3_ENDPOINT_URL", "JOB_MAX_RETRIES"), found, strict=True):
            assert finding.message.startswith(name)

    def test_what_is_allowed_and_hardly_meant_is_a_warning(self) -> None:
        assert states(*self.found(SECRET_KEY="short", FLOWER_BASIC_AUTH="")) == ["ok", "warning", "warning"]

    @pytest.mark.parametrize(("old", "warned"), [("", False), ("y" * 40, False), ("y" * 40 + ",y", True)])
    def test_an_agent_token_that_could_be_guessed(self, old: str, warned: bool) -> None:
        assert states(*self.found(AGENT_TOKEN="x" * 48, AGENT_TOKEN_OLD=old)) == ["ok"] + ["warning"] * warned
        assert states(*self.found(AGENT_TOKEN="x", AGENT_TOKEN_OLD=old)) == ["ok", "warning"]

    def test_a_package_that_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert states(*self.found(SENTRY_DSN="https://key@sentry.example/1")) == ["ok"]
        monkeypatch.setattr(host, "find_spec", lambda name: None)
        found = self.found(SENTRY_DSN="https://key@sentry.example/1", OTEL_EXPORTER_OTLP_ENDPOINT="http://otel.example")
        assert states(*found) == ["ok", "fault", "fault"]
        assert "requirements-observability.txt" in found[1].mend


class TestPostgres:
    @pytest.mark.parametrize(
        ("major", "state"), [(14, "fault"), (15, "warning"), (17, "warning"), (18, "ok"), (19, "ok")]
    )
    def test_versions(self, major: int, state: str) -> None:
        assert states(servers._version(facts(major=major))) == [state]

    @pytest.mark.parametrize(("used", "state"), [(10, "ok"), (81, "warning"), (98, "fault"), (100, "fault")])
    def test_connections(self, used: int, state: str) -> None:
        assert states(servers._connections(facts(connections=used))) == [state]

    def test_rights(self) -> None:
        assert states(servers._rights(facts())) == ["ok"]
        assert states(servers._rights(facts(may_create=False))) == ["warning"]
        found = servers._rights(facts(lacking=["jobs"], may_create=False))
        assert found.state == "fault" and "jobs" in found.message and "GRANT" in found.mend

    def test_open_transactions(self) -> None:
        [found] = servers._transactions(facts(sessions=[Session(77, "a report", True, 90)]))
        assert found.state == "warning" and "a report" in found.message and "pg_terminate_backend(77)" in found.mend

    @pytest.mark.parametrize(
        ("apart", "took", "state"),
        [(0, 0.1, "ok"), (1.5, 0.1, "ok"), (3, 0.1, "warning"), (-3, 0.1, "warning"), (301, 0, "fault"), (3, 8, "ok")],
    )
    def test_clocks(self, apart: float, took: float, state: str) -> None:
        asked, answered = NOW, NOW + timedelta(seconds=took)
        there = NOW + timedelta(seconds=took / 2 + apart)
        assert states(servers._clock(there, asked, answered)) == [state]


class TestRedis:
    @pytest.mark.parametrize(
        ("used", "limit", "state"),
        [(10, 0, "ok"), (79, 100, "ok"), (81, 100, "warning"), (96, 100, "fault")],
    )
    def test_memory(self, used: int, limit: int, state: str) -> None:
        assert states(servers._memory(used * 10**6, limit * 10**6)) == [state]


class TestWork:
    @pytest.mark.parametrize(
        ("oldest", "moved", "state"), [(5, 0, "ok"), (90, 0, "fault"), (90, 7, "warning"), (0, 0, "ok")]
    )
    def test_a_queue_is_judged_by_whether_it_moves(self, oldest: float, moved: int, state: str) -> None:
        seen = figures(queues={"course": Queue(3, 0, oldest)}, moved={"fill": (0, moved)})
        assert states(work._due(seen)) == [state]

    @pytest.mark.parametrize(
        ("leases", "state"),
        [
            (Leases(3, 0, 0, 5, 5), "ok"),
            (Leases(3, 1, 0, 70, 70), "warning"),
            (Leases(3, 0, 1, 5, 300), "warning"),
            (Leases(3, 1, 0, 130, 130), "fault"),
        ],
    )
    def test_leases(self, leases: Leases, state: str) -> None:
        assert states(work._leases(figures(leases=leases), 60)) == [state]

    def test_dead_letters_and_files(self) -> None:
        assert states(work._left_lying(figures()), work._files(figures())) == ["ok", "ok"]
        assert states(work._left_lying(figures(living={("dead_letter", "course"): 2}))) == ["warning"]
        assert states(work._files(figures(documents_behind=500))) == ["warning"]

    def test_stale_jobs_are_not_among_the_dead_letters(self) -> None:
        found = work._left_lying(figures(living={("dead_letter", "course"): 3, ("stale", "course"): 2}))
        assert found.message == "3 jobs used up their retries. 2 others are stale."

    def test_brakes_tell_the_worst(self) -> None:
        def brake(model: str, state: State, seconds: float, failures: int) -> Brake:
            until = utc_now() + timedelta(seconds=seconds)
            reason = "failing" if failures else "rate_limited"
            return Brake("https://models.example", model, state, until, reason, failures, False, NOW)

        free, told, down = brake("a", "free", -5, 0), brake("b", "closed", 3000, 0), brake("c", "open", -5, 7)
        assert states(work._brakes(figures(brakes=[free]))) == ["ok"]
        found = work._brakes(figures(brakes=[free, told, down]))
        assert found.state == "warning"
        words = "c at https://models.example failed 7 times in a row; one call at a time tries whether it is back."
        assert found.message == f"{words} Braked too: 1 more."
        found = work._brakes(figures(brakes=[told]))
        assert re.search(r"b at \S+ is to be called less often; nobody calls it for [0-9]+ s more\.$", found.message)


class TestDisk:
    @pytest.mark.parametrize(("free", "state"), [(10**8, "fault"), (10**9, "warning"), (10**10, "ok")])
    def test_room(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
        monkeypatch.setattr(host.shutil, "disk_usage", lambda _: type("Usage", (), {"free": free}))
        assert states(host.disk(tmp_path)) == [state]
        assert states(host.disk(tmp_path / "nothing")) == ["ok"]


class TestThisMachine:
    def listed(self, home: Path, pids: dict[str, int]) -> Finding:
        (home / "run").mkdir(exist_ok=True)
        (home / "run" / "processes.json").write_text(json.dumps(pids))
        [found] = host.processes(home)
        return found

    def test_processes_of_an_embedded_system(self, tmp_path: Path) -> None:
        child = subprocess.Popen([sys.executable, "-c", ""])
        child.wait()
        here, gone = os.getpid(), child.pid
        assert states(self.listed(tmp_path, {"web": here, "beat": here})) == ["ok"]
        found = self.listed(tmp_path, {"web": here, "beat": gone})
        assert found.state == "warning" and "Gone: beat." in found.message
        found = self.listed(tmp_path, {"web": gone, "beat": gone})
        assert found.state == "fault" and found.mend.endswith("coursewright up")

    def test_ports(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            found = host._port("web", "PORT", "127.0.0.1", port, "/healthz", embedded=False)
            assert found.state == "warning" and "Something else than web" in found.message
        assert states(host._port("web", "PORT", "127.0.0.1", port, "/healthz", embedded=False)) == ["ok"]
        assert states(host._port("web", "PORT", "127.0.0.1", port, "/healthz", embedded=True)) == ["fault"]
        assert states(host._port("web", "PORT", "203.0.113.1", port, "/healthz", embedded=False)) == ["fault"]
