"""Nobody finds a secret out by how long it takes to refuse a wrong one: secrets are compared by ``hmac.compare_digest``
alone, and never looked for in the database by themselves."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.guards.test_untrusted import sources

_SECRET = re.compile(r"(^|_)(token|secret|password|hash|digest|signature|mac|csrf|credential)s?$")
#: What is called so and can be compared in any way.
KNOWN = {
    "tasks/commands.py: other.request_hash != fingerprint": "whether a request is the same as before",
    "tasks/commands.py: other.request_hash == row.request_hash": "whether a request is the same as before",
    "web/auditing.py: actor != identity.credential": "what a credential is called",
    "tasks/steps/exam_validate.py: kept['taught'] == _digest(lesson)": "whether a lesson is the one that was checked",
}
_SOUGHT = re.compile(r"\b(hash|secret|token|password)\s*=\s*(:|ANY)", re.I)


def name_of(node: ast.expr) -> str:
    """By what an expression is called: ``row.hash`` is a hash, and so is ``_hash(x)``."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=called):
            return name_of(called)
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
    return ""


def compared(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(
            isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in node.ops
        ):
            sides = [node.left, *node.comparators]
            constant = any(isinstance(side, ast.Constant | ast.Set | ast.Dict) for side in sides)
            if not constant and any(_SECRET.search(name_of(side)) for side in sides):
                yield ast.unparse(node)


def test_what_is_secret_is_compared_in_constant_time() -> None:
    found = {f"{name}: {written}" for name, tree, _ in sources() for written in compared(tree)}
    assert found == KNOWN.keys()


def test_a_secret_is_not_looked_for_by_itself() -> None:
    """An index answers sooner for one that begins otherwise."""
    for name, tree, _ in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "WHERE" in node.value:
                assert not _SOUGHT.search(node.value.partition("WHERE")[2]), f"{name}: {node.value}"


@pytest.mark.parametrize(
    "faulty",
    ["given == row.hash", "token in tokens", "_hash(key) != kept['hash']", "x.secret == y", "signature not in good"],
)
def test_the_guard_sees(faulty: str) -> None:
    assert list(compared(ast.parse(faulty))) == [ast.unparse(ast.parse(faulty))]
