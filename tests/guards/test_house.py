"""The manners of the house that a machine can check."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources import parsed
from web.system_processes import app_processes

ROOT = Path(__file__).parents[2]
FLOORS = ("schema", "storage", "tasks", "web")
#: Not ours, or made here while running.
MADE = {".git", ".venv", ".coursewright", ".hypothesis", ".mypy_cache", ".ruff_cache", ".pytest_cache", "__pycache__"}
TEXTS = {
    *(".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".json", ".html", ".css", ".js", ".svg", ".ini", ".cfg", ".mako"),
    *(".sh", ""),
}

#: A file tells one story in at most this many lines ...
LONGEST = 300
#: ... unless there is a reason, and then in at most these.
LONGER = {
    "storage/migrations/versions/0001_first_tables.py": (450, "a migration is written once, whole"),
    "schema/pack.py": (330, "the format of a pack and its promises"),
}

#: Who may look at the environment beside schema/settings.py, and why.
ENVIRONMENT = {
    "storage/processes.py": "a child gets its parent's environment",
    "web/cli/__init__.py": "hands it to the doctor, who judges it",
    "web/cli/wiring.py": "finds the running system of the home folder",
    "web/demo/__init__.py": "starts the system as a child",
    "web/everything.py": "hands the environment of the embedded servers on",
    "web/gunicorn_settings.py": "prometheus_client looks there for the folder of its files",
    "web/system_processes.py": "fills in the Procfile as a shell would",
}
#: Who may ask the clock for the date beside schema/clock.py, and why.
CLOCK = {"storage/objects.py": "a request to the store is signed with the moment it is sent"}
#: The outer doors: a step, a request, a schedule, a notice, and the threads beside them, which must not die silently.
DOORS = {
    *("tasks/notices/webhooks.py", "tasks/notices/mails.py"),
    *("tasks/step.py", "tasks/reconcile/__init__.py", "tasks/schedules.py", "web/problems.py"),
    "storage/background.py",
}


def files() -> Iterator[Path]:
    """Every text file of the project."""
    for path in sorted(ROOT.rglob("*")):
        within = path.relative_to(ROOT).parts
        if path.is_file() and not MADE.intersection(within) and path.suffix in TEXTS:
            yield path


def trees() -> Iterator[tuple[str, ast.Module]]:
    """The files of the floors, parsed."""
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), parsed(path)


def names_used(tree: ast.Module) -> set[str]:
    """The last two parts of every dotted name a file uses, such as ``os.environ`` and ``datetime.now``."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            found.add(f"{owner}.{node.attr}")
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


class TestOurPackages:
    @pytest.mark.parametrize("name", [*FLOORS, "celeryconfig"])
    def test_a_name_that_is_also_on_the_package_index_is_ours(self, name: str) -> None:
        # celeryconfig reads the settings when it is imported, so only its place is looked up.
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None
        place = Path(spec.origin)
        assert place.is_relative_to(ROOT) and "site-packages" not in place.parts

    @pytest.mark.parametrize("name", FLOORS)
    def test_nothing_installed_hides_behind_it(self, name: str) -> None:
        for folder in filter(None, sys.path):
            if "site-packages" in Path(folder).parts:
                assert not (Path(folder) / name).exists()
                assert not (Path(folder) / f"{name}.py").exists()

    def test_every_process_finds_ours_first(self) -> None:
        for spec in app_processes(ROOT, {"PORT": "1", "FLOWER_PORT": "1"}):
            assert spec.env["PYTHONPATH"].split(":")[0] == str(ROOT), spec.name

    def test_the_commands_interpreter_finds_ours_first(self) -> None:
        command = "import schema, storage, tasks, web; print(*(m.__file__ for m in (schema, storage, tasks, web)))"
        ended = subprocess.run(
            [sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True, env={"PATH": ""}
        )
        assert ended.stdout.split() == [str(ROOT / floor / "__init__.py") for floor in FLOORS]


class TestFiles:
    def test_a_file_tells_one_story(self) -> None:
        lengths = {name: len((ROOT / name).read_text("utf-8").splitlines()) for name, _ in trees()}
        limits = {name: LONGER[name][0] if name in LONGER else LONGEST for name in lengths}
        assert not {name: length for name, length in lengths.items() if length > limits[name]}
        assert not {name for name in LONGER if lengths.get(name, 0) <= LONGEST}, "no longer needs its exception"

    def test_nothing_is_left_for_later(self) -> None:
        # Tests of the rule about placeholders need the words; everything else says what is, or is not there.
        later = re.compile(r"(?:#|//|/\*|<!--|^)\s*(?:@|\b)(?:TO" + r"DO|FIX" + r"ME|XXX|HACK)\b", re.MULTILINE)
        assert not [str(path) for path in files() if later.search(path.read_text("utf-8"))]

    def test_no_path_of_a_machine(self) -> None:
        somewhere = re.compile(r"(?<![\w.~}])/(?:home|root|Users|work|mnt|private)/[\w.]|\b[A-Z]:\\\\?Users")
        found = {}
        for path in files():
            if hits := somewhere.findall(path.read_text("utf-8")):
                found[path.relative_to(ROOT).as_posix()] = hits
        assert not found

    def test_every_module_of_ours_says_what_it_is_for(self) -> None:
        silent = [name for name, tree in trees() if tree.body and not ast.get_docstring(tree)]
        assert not silent

    def test_every_module_reads_its_types_late(self) -> None:
        for name, tree in trees():
            if len(tree.body) > 1:
                assert "annotations" in {
                    alias.name
                    for node in tree.body
                    if isinstance(node, ast.ImportFrom) and node.module == "__future__"
                    for alias in node.names
                }, name


class TestManners:
    def test_the_environment_is_read_in_one_place_and_handed_on(self) -> None:
        reads = {name for name, tree in trees() if names_used(tree) & {"os.environ", "os.getenv", "os.environb"}}
        assert reads == {"schema/settings.py", *ENVIRONMENT}

    def test_times_and_ids_are_made_in_one_place(self) -> None:
        makers = {"datetime.now", "datetime.utcnow", "date.today", "time.time", "uuid.uuid4", "uuid.uuid1"}
        found = {name for name, tree in trees() if names_used(tree) & makers}
        assert found == {"schema/clock.py", *CLOCK}

    def test_everything_is_caught_only_at_the_outer_doors(self) -> None:
        caught = set()
        for name, tree in trees():
            for node in ast.walk(tree):
                if isinstance(node, ast.ExceptHandler) and swallows(node):
                    caught.add(name)
        assert caught <= DOORS

    def test_the_doors_write_down_what_they_caught(self) -> None:
        for name in DOORS:
            assert "log.exception(" in (ROOT / name).read_text("utf-8"), name

    def test_nothing_is_printed_but_by_commands(self) -> None:
        for name, tree in trees():
            prints = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "print"]
            assert not prints or name in {"web/cli/__init__.py", "web/supervisor.py"}, name


def swallows(handler: ast.ExceptHandler) -> bool:
    """Whether a handler catches everything and doesn't raise it again."""
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    everything = any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"}) for kind in caught
    )
    last = handler.body[-1]
    return everything and not (isinstance(last, ast.Raise) and last.exc is None)


class TestProcesses:
    def test_they_have_the_names_operators_know(self) -> None:
        lines = (ROOT / "Procfile").read_text("utf-8").splitlines()
        names = [line.partition(":")[0] for line in lines if line.strip() and not line.startswith("#")]
        # Beside those of the contract: control carries out what beat asks for, so that it never waits behind a course.
        assert sorted(names) == sorted({"web", "worker", "media", "beat", "flower", "control"})


class TestPages:
    #: What makes a browser fetch something: attributes of elements, and addresses in style sheets and scripts.
    FETCHED = re.compile(
        r"""(?:\b(?:src|href|action|poster|srcset|data)\s*=\s*|url\(\s*|@import\s+|\bimport\s*\(?\s*|\bfrom\s+|"""
        r"""\b(?:fetch|EventSource|WebSocket|Worker|importScripts)\(\s*|\burl:\s*)["']?\s*(?:[a-z]+:)?//[^\s"'>]*""",
        re.IGNORECASE,
    )

    @pytest.mark.parametrize(
        "text",
        [
            '<script src="https://cdn.example/x.js">',
            "<link href=//cdn.example/x.css>",
            "body { background: url( 'http://x.example/a.png') }",
            '@import "https://x.example/a.css";',
            'fetch("https://x.example")',
            "import x from 'https://x.example/x.js'",
        ],
    )
    def test_what_comes_from_elsewhere_is_noticed(self, text: str) -> None:
        assert self.FETCHED.search(text)

    @pytest.mark.parametrize(
        "text",
        ['<link href="/static/a.css">', '<svg xmlns="http://www.w3.org/2000/svg">', "// words", 'url: "/api/x"'],
    )
    def test_what_comes_from_here_is_not(self, text: str) -> None:
        assert not self.FETCHED.search(text)

    def test_pages_fetch_nothing_from_other_hosts(self) -> None:
        pages = [path for folder in ("templates", "static") for path in (ROOT / "web" / folder).rglob("*.*")]
        assert len(pages) >= 4
        found = {}
        for path in pages:
            if path.suffix in TEXTS and (hit := self.FETCHED.search(path.read_text("utf-8"))):
                found[path.name] = hit.group()
        assert not found

    def test_every_file_a_page_asks_for_is_there(self) -> None:
        for page in (ROOT / "web" / "templates").glob("*.html"):
            for name in re.findall(r"""["'](/static/[^"'{}]+)["']""", page.read_text("utf-8")):
                assert (ROOT / "web" / name.removeprefix("/")).is_file(), f"{page.name}: {name}"
