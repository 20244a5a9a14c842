from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from storage.processes import Spec
from web.system_processes import ROOT, _expanded, app_processes

ENVIRONMENT = {"PORT": "8123", "FLOWER_PORT": "5123", "COURSEWRIGHT_HOME": "/srv/school"}
HOME = Path("/srv/school")
DATABASES = ("DATABASE_URL", "WEB_DATABASE_URL", "WORKER_DATABASE_URL")
NAMES = ["web", "worker", "media", "control", "beat", "flower"]


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORKER_CONCURRENCY", "MEDIA_CONCURRENCY", "OTHER", *DATABASES):
        monkeypatch.delenv(name, raising=False)


def specs(**more: str) -> dict[str, Spec]:
    return {spec.name: spec for spec in app_processes(HOME, ENVIRONMENT | more)}


class TestExpansion:
    @pytest.mark.parametrize(
        ("command", "environment", "expanded"),
        [
            ("run ${OTHER:-16} now", {}, "run 16 now"),
            ("run ${OTHER:-16} now", {"OTHER": "4"}, "run 4 now"),
            ("run ${OTHER:-16}", {"OTHER": ""}, "run 16"),
            ("${OTHER:-a}${OTHER:-b}", {"OTHER": "x"}, "xx"),
            ("${OTHER:-}", {}, ""),
            ("${OTHER:-a b}", {}, "a b"),
            ("$OTHER ${OTHER} %h", {"OTHER": "x"}, "$OTHER ${OTHER} %h"),
        ],
    )
    def test_a_default_stands_in_for_what_is_not_set(
        self, command: str, environment: dict[str, str], expanded: str
    ) -> None:
        assert _expanded(command, environment) == expanded

    def test_the_environment_of_the_system_goes_before_that_of_the_process(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OTHER", "mine")
        assert _expanded("${OTHER:-16}", {}) == "mine"
        assert _expanded("${OTHER:-16}", {"OTHER": "theirs"}) == "theirs"


class TestProcfile:
    def test_every_line_is_a_process(self) -> None:
        assert list(specs()) == NAMES

    @pytest.mark.parametrize("name", NAMES)
    def test_a_process_runs_with_this_python_and_needs_no_path(self, name: str) -> None:
        argv = specs()[name].argv
        assert argv[:2] == [sys.executable, "-m"]
        assert not [word for word in argv if "$" in word or not word]

    @pytest.mark.parametrize("name", NAMES)
    def test_its_words_are_those_a_shell_would_make(self, name: str) -> None:
        lines = (ROOT / "Procfile").read_text("utf-8").splitlines()
        command = next(line.partition(":")[2] for line in lines if line.startswith(f"{name}:"))
        words = shlex.split(command.replace("${WORKER_CONCURRENCY:-16}", "16").replace("${MEDIA_CONCURRENCY:-2}", "2"))
        if words[0] == "python":
            assert words[1] == "-m"
            words = words[2:]
        if words[0] == "celery":
            words = ["tasks.launch", *words[1:]]
        assert specs()[name].argv[2:] == words

    @pytest.mark.parametrize("name", NAMES)
    def test_its_log_environment_and_folder_are_the_systems(self, name: str) -> None:
        spec = specs()[name]
        assert spec.log == HOME / "logs" / f"{name}.log"
        assert spec.cwd == ROOT
        assert spec.env["PYTHONPATH"] == str(ROOT)
        assert ENVIRONMENT.items() <= spec.env.items()

    def test_the_web_serves_the_app(self) -> None:
        assert specs()["web"].argv[2:] == ["gunicorn", "--config", "web/gunicorn_settings.py", "web.app:create_app()"]
        assert (ROOT / "web/gunicorn_settings.py").exists()

    @pytest.mark.parametrize(
        ("name", "queue", "pool", "concurrency"),
        [
            ("worker", "course", "threads", "16"),
            ("media", "media", "prefork", "2"),
            ("control", "control", "threads", "2"),
        ],
    )
    def test_a_worker_takes_its_own_queue_alone(self, name: str, queue: str, pool: str, concurrency: str) -> None:
        options = options_of(specs()[name])
        assert (options["--queues"], options["--pool"], options["--concurrency"]) == (queue, pool, concurrency)
        assert options["--hostname"] == f"{name}@%h"

    def test_how_many_work_side_by_side_can_be_set(self) -> None:
        set_otherwise = specs(WORKER_CONCURRENCY="3", MEDIA_CONCURRENCY="1")
        assert options_of(set_otherwise["worker"])["--concurrency"] == "3"
        assert options_of(set_otherwise["media"])["--concurrency"] == "1"

    def test_processes_that_listen_to_nobody_are_ready_at_once(self) -> None:
        for name in ("worker", "media", "control", "beat"):
            assert specs()[name].ready()


def options_of(spec: Spec) -> dict[str, str]:
    """The options of a command with the value that follows each."""
    words = [*spec.argv, ""]
    return {word: words[at + 1] for at, word in enumerate(words) if word.startswith("--")}


class TestDatabase:
    GIVEN = dict(zip(DATABASES, ("of-owner", "of-web", "of-workers"), strict=True))

    @pytest.mark.parametrize("name", NAMES)
    def test_a_process_is_told_its_own_address_alone(self, name: str) -> None:
        told = {setting: value for setting, value in specs(**self.GIVEN)[name].env.items() if setting in DATABASES}
        if name in {"worker", "media", "control"}:
            assert told == {"DATABASE_URL": "of-workers", "WEB_DATABASE_URL": "", "WORKER_DATABASE_URL": "of-workers"}
        else:
            assert told == {"DATABASE_URL": "of-web", "WEB_DATABASE_URL": "of-web", "WORKER_DATABASE_URL": ""}

    def test_addresses_from_outside_count_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for setting, value in self.GIVEN.items():
            monkeypatch.setenv(setting, value)
        assert "of-owner" not in {value for spec in specs().values() for value in spec.env.values()}
        assert specs()["control"].env["DATABASE_URL"] == "of-workers"

    @pytest.mark.parametrize("name", NAMES)
    def test_where_there_is_only_the_owners_all_share_it(self, name: str) -> None:
        told = specs(DATABASE_URL="of-owner")[name].env
        assert {setting: told.get(setting) for setting in DATABASES if setting in told} == {"DATABASE_URL": "of-owner"}
