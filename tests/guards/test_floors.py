"""The floors and which way they lean: what import-linter is told in pyproject.toml, that it would notice, and the
few rules about imports and commits it can't express."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.sources import parsed

ROOT = Path(__file__).parents[2]
PYPROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
CONTRACTS = {contract["name"]: contract for contract in tomllib.loads(PYPROJECT)["tool"]["importlinter"]["contracts"]}

LAYERS = "A floor imports only the floors below it"
KEPT = "Only storage knows where things are kept"
CARRIED = "Only tasks carries messages and asks models"
ASKED = "Only web speaks HTTP to people"
STEPS = "Steps do not import each other"

#: Every library from outside, by the floors that may import it. A new one is a decision, made here.
OUTSIDE = {
    "schema": {"cronsim", "json5", "markdown_it", "marshmallow", "nh3", "rapidfuzz", "slugify", "textstat"},
    "storage": {
        "alembic",
        "cryptography",
        "limits",
        "minio",
        "psycopg2",
        "redis",
        "sqlalchemy",
        "structlog",
        "urllib3",
    },
    "tasks": {
        *("PIL", "celery", "flower", "httpx2", "jiter", "jsonschema", "kombu", "marshmallow", "openai"),
        *("opentelemetry", "rapidfuzz", "sentry_sdk", "structlog"),
    },
    "web": {
        *("apispec", "click", "flask", "flask_swagger_ui", "gunicorn", "itsdangerous", "jwt", "markdown_it"),
        *("markupsafe", "marshmallow", "nh3", "opentelemetry", "prometheus_client", "psutil", "rich", "sentry_sdk"),
        *("slugify", "structlog", "urllib3", "werkzeug"),
    },
    "celeryconfig": set[str](),
}
#: Needed at run time without being imported by us.
RUN_NOT_IMPORTED = {"setuptools", "tzdata"}

#: Who else ends transactions, and why that is no work on rows.
OTHER_COMMITS = {
    "storage/postgres/schema_version.py": "migrations run on a session of their own, under an advisory lock",
    "storage/embedded/postgres.py": "makes the database itself, which no transaction can",
}


def sources(*floors: str) -> Iterator[tuple[str, ast.Module]]:
    """Our files with their trees; names are relative to the repository."""
    for floor in floors:
        place = ROOT / floor
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]:
            yield path.relative_to(ROOT).as_posix(), parsed(path)


def imported(tree: ast.Module) -> set[str]:
    """The top-level names of everything a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "names are written whole here"
            names.add(str(node.module).partition(".")[0])
    return names


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = (
        "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"
    )
    return subprocess.run([sys.executable, "-c", command], cwd=folder, capture_output=True, text=True, check=False)


def test_every_contract_is_kept() -> None:
    ended = lint(ROOT)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in ended.stdout


class TestContracts:
    def test_they_are_these_and_none_is_left_out(self) -> None:
        assert set(CONTRACTS) == {LAYERS, KEPT, CARRIED, ASKED, STEPS}
        assert CONTRACTS[LAYERS]["layers"] == ["web", "tasks", "storage", "schema"]
        assert set(CONTRACTS[KEPT]["forbidden_modules"]) >= {"sqlalchemy", "redis", "minio", "psycopg2", "alembic"}
        assert set(CONTRACTS[CARRIED]["forbidden_modules"]) >= {"celery", "openai", "kombu", "flower"}
        assert set(CONTRACTS[ASKED]["forbidden_modules"]) >= {"flask", "werkzeug"}

    def test_one_import_is_left_out_and_no_more(self) -> None:
        left_out = [way for contract in CONTRACTS.values() for way in contract.get("ignore_imports", [])]
        assert left_out == ["tasks.deps -> tasks.app"]

    @pytest.mark.parametrize(
        ("file", "statement", "broken"),
        [
            ("schema/job.py", "import storage.jobs", LAYERS),
            ("storage/jobs.py", "from tasks import app", LAYERS),
            ("tasks/app.py", "def later():\n    import web.app", LAYERS),
            ("web/app.py", "from sqlalchemy import text", KEPT),
            ("tasks/app.py", "import redis.exceptions", KEPT),
            ("web/app.py", "import celery", CARRIED),
            ("storage/jobs.py", "def later():\n    import openai", CARRIED),
            ("tasks/app.py", "from flask import g", ASKED),
            ("tasks/steps/fill.py", "from tasks.steps.persist import x", STEPS),
            ("tasks/app.py", "x = 1", None),
        ],
    )
    def test_whoever_breaks_one_is_noticed(self, tmp_path: Path, file: str, statement: str, broken: str | None) -> None:
        _, _, ours = PYPROJECT.partition("[tool.importlinter]")
        (tmp_path / "pyproject.toml").write_text("[tool.importlinter]" + ours, "utf-8")
        house = {
            **{f"{floor}/__init__.py": "" for floor in ("schema", "storage", "tasks", "tasks/steps", "web")},
            **dict.fromkeys(("schema/job.py", "storage/jobs.py", "web/app.py", "tasks/app.py"), ""),
            **dict.fromkeys(("tasks/steps/fill.py", "tasks/steps/persist.py"), "x = 1"),
            "tasks/deps.py": "import tasks.app",
        }
        for name, text in (house | {file: statement}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        ended = lint(tmp_path)
        assert f"{broken} BROKEN" in ended.stdout if broken else ended.returncode == 0, ended.stdout
        assert (ended.returncode != 0) is (broken is not None)


class TestLibraries:
    @pytest.mark.parametrize("floor", OUTSIDE)
    def test_a_floor_imports_only_what_it_may(self, floor: str) -> None:
        ours = {"schema", "storage", "tasks", "web"}
        for name, tree in sources(floor):
            outside = imported(tree) - ours - set(sys.stdlib_module_names)
            assert outside <= OUTSIDE[floor], name

    def test_what_may_be_imported_is(self) -> None:
        for floor, libraries in OUTSIDE.items():
            used = set[str]().union(*(imported(tree) for _, tree in sources(floor)))
            assert libraries <= used, floor

    def test_celerys_knobs_know_the_settings_and_nothing_else(self) -> None:
        ((_, tree),) = sources("celeryconfig")
        assert imported(tree) - set(sys.stdlib_module_names) == {"schema"}

    def test_what_is_imported_is_pinned_and_what_is_required_is_used(self) -> None:
        of_import = packages_distributions()
        used = {plain(of_import[library][0]) for libraries in OUTSIDE.values() for library in libraries}
        required = pinned("requirements.txt")
        assert used <= required | pinned("constraints.txt")
        assert required - RUN_NOT_IMPORTED <= used
        # What is wanted only with a setting is pinned as well, and is no part of what everybody needs.
        watching = pinned("requirements-observability.txt")
        assert {name.partition("-")[0] for name in watching} == {"opentelemetry", "sentry"}
        assert watching <= pinned("constraints.txt") and not watching & required


def plain(name: str) -> str:
    return name.lower().replace("_", "-")


def pinned(file: str) -> set[str]:
    """The names of a requirements file. Fails on one without an exact version."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / file).read_text("utf-8").splitlines()]
    names = set()
    for line in filter(None, lines):
        name, exact, version = line.partition("==")
        assert exact and version, f"{file}: {line}"
        names.add(plain(name))
    return names


class TestCommits:
    def test_only_the_database_module_ends_a_transaction(self) -> None:
        found = {name for name, tree in sources("schema", "storage", "tasks", "web") if commits(tree)}
        found = {name for name in found if not name.startswith("storage/migrations/")}
        assert found == {"storage/db.py", *OTHER_COMMITS}

    def test_views_open_no_transaction(self) -> None:
        for name, tree in sources("web"):
            calls = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            assert not calls & {"transaction", "after_commit"}, f"{name}: web writes only through tasks.commands"


def commits(tree: ast.Module) -> bool:
    """Whether a file commits, begins or turns on autocommit by itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in {"commit", "begin", "autocommit"}:
            return True
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.strip() in {"COMMIT", "BEGIN"}:
            return True
    return False
