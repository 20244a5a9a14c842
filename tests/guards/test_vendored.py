"""What others made and is served from here: whole, licensed, unchanged since it was taken, and small."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

VENDOR = Path(__file__).parents[2] / "web" / "static" / "vendor"
FOLDERS = sorted(path for path in VENDOR.iterdir() if path.is_dir())
#: Bytes of everything together; each is sent to every browser once.
LARGEST = 150_000


def told(folder: Path) -> dict[str, str]:
    """The sha256 of each file, as ORIGIN.txt tells it."""
    lines = (folder / "ORIGIN.txt").read_text("utf-8").partition("Files here")[2].splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines[1:])}


def test_there_is_something_to_look_at() -> None:
    assert [folder.name for folder in FOLDERS] == ["lit-3.3.3", "pico-2.1.1"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
class TestFolder:
    def test_its_files_are_those_that_were_taken(self, folder: Path) -> None:
        files = {path for path in folder.rglob("*") if path.is_file() and path.name != "ORIGIN.txt"}
        assert told(folder) == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def test_it_says_which_version_of_what_it_is(self, folder: Path) -> None:
        name, _, version = folder.name.rpartition("-")
        text = (folder / "ORIGIN.txt").read_text("utf-8")
        assert re.search(rf"^[0-9a-f]{{64}}  \S*\b{name} {re.escape(version)}$", text, re.MULTILINE)

    def test_its_licence_is_with_it(self, folder: Path) -> None:
        assert len((folder / "LICENSE").read_text("utf-8")) > 500

    def test_its_modules_import_only_files_beside_them(self, folder: Path) -> None:
        for script in folder.glob("*.js"):
            for name in re.findall(r"""(?:\bfrom|\bimport)\s*["']([^"']+)["']""", script.read_text("utf-8")):
                assert name.startswith("./") and (folder / name).is_file(), f"{script.name}: {name}"


def test_all_of_it_is_small() -> None:
    assert sum(path.stat().st_size for path in VENDOR.rglob("*") if path.is_file()) < LARGEST


def test_every_version_of_a_thing_is_there_once_and_pages_name_no_other() -> None:
    names = [folder.name.rpartition("-")[0] for folder in FOLDERS]
    assert len(set(names)) == len(names)
    web = VENDOR.parents[1]
    sources = [*web.glob("templates/**/*.html"), *web.glob("static/js/*.js")]
    used = {hit for path in sources for hit in re.findall(r"vendor/([\w.-]+)/", path.read_text("utf-8"))}
    assert used == {folder.name for folder in FOLDERS}
