"""What others have written is never unpacked, run, or taken for markup: what the code may use for that, and who may."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS = ("schema", "storage", "tasks", "web")
#: Unpack what was sent, or make objects of it. Who may use one all the same, and for what.
DANGEROUS = {
    *("bz2", "dbm", "ftplib", "lzma", "marshal", "pickle", "plistlib", "shelve", "tarfile", "telnetlib", "xml"),
    *("xmlrpc", "yaml", "zipfile", "gzip", "zlib"),
}
ALLOWED = {
    ("web/caching.py", "gzip"): "packs answers",
    ("storage/shares/rates.py", "zlib"): "crc32 of a name",
    ("tasks/steps/skeleton.py", "zlib"): "crc32 of an id",
}
#: Who says that a text is HTML already.
MARKUP = {"web/pages/reading.py": "cleaned by nh3 in the same line, and a constant"}
_WRITTEN_IN = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:|\|\s*safe|autoescape", re.I)
_AS_HTML = re.compile(
    r"(?:inner|outer)HTML\s*\+?=[^=]|insertAdjacentHTML|document\.write|\beval\(|new Function|unsafe(?:HTML|SVG|Static)"
    r"|srcdoc|setHTMLUnsafe|createContextualFragment|setTimeout\(\s*[\"'`]"
)


def sources() -> Iterator[tuple[str, ast.Module, str]]:
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            text = path.read_text("utf-8")
            yield path.relative_to(ROOT).as_posix(), ast.parse(text), text


def imported(tree: ast.Module) -> set[str]:
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


def test_nothing_that_was_sent_is_unpacked() -> None:
    found = {(name, library) for name, tree, _ in sources() for library in imported(tree) & DANGEROUS}
    assert found == ALLOWED.keys()
    for name, _ in ALLOWED:
        text = (ROOT / name).read_text("utf-8")
        assert not re.search(r"decompress|GzipFile|gzip\.open", text)


def test_only_a_cleaned_text_is_said_to_be_html() -> None:
    marking = {name for name, tree, _ in sources() if {"Markup"} & set(_names(tree))}
    assert marking == MARKUP.keys()
    for name, _, text in sources():
        assert "render_template_string" not in text and "autoescape" not in text, name


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def test_no_link_into_the_store_is_given_away() -> None:
    for name, tree, _ in sources():
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        given = {one for one in used if one.startswith(("presign", "get_presigned", "set_bucket_policy"))}
        assert not given, f"{name}: readers get everything through the web, which looks who asks"


TEMPLATES = sorted((ROOT / "web" / "templates").rglob("*.html"))
SCRIPTS = sorted((ROOT / "web" / "static" / "js").glob("*.js"))


@pytest.mark.parametrize("path", TEMPLATES, ids=[path.name for path in TEMPLATES])
def test_a_template_runs_nothing_and_escapes_everything(path: Path) -> None:
    assert not _WRITTEN_IN.search(path.read_text("utf-8"))


@pytest.mark.parametrize("path", SCRIPTS, ids=[path.name for path in SCRIPTS])
def test_a_script_makes_no_markup_of_words(path: Path) -> None:
    assert not _AS_HTML.search(path.read_text("utf-8"))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (_WRITTEN_IN, "<script>x</script>"),
        (_WRITTEN_IN, "{{ title | safe }}"),
        (_WRITTEN_IN, '<p onclick="x">'),
        (_WRITTEN_IN, '<script type="application/json">{{ course | tojson }}</script>'),
        (_AS_HTML, "card.innerHTML = entry.title"),
        (_AS_HTML, "html`${unsafeHTML(text)}`"),
        (_AS_HTML, "setTimeout('x()', 1)"),
    ],
)
def test_whoever_does_is_noticed(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.search(text)
