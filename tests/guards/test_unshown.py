"""What holds a secret doesn't show it: the text of a value ends up in logs, traces and failed assertions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Names of fields that hold a secret, or an address with one in it.
TELLING = re.compile(
    r"secret|password|token|api_key|access_key|signing|credential|dsn|^key$|^env$|environ|basic_auth|base_url|login_url"
    r"|(database|redis|endpoint)_url|otel_endpoint"
)
#: Those that are called so and hold none.
HARMLESS = {
    "schema/audit.py By.credential": "names a row",
    "schema/settings.py S3Settings.endpoint_url": "keys are beside it, not in it",
    "storage/people/grounds.py Facts.token_role": "a role",
    "storage/objects.py Found.key": "of an object",
    "web/identity/identity.py Identity.credential": "names a row",
}


def dataclasses() -> Iterator[tuple[str, ast.ClassDef]]:
    """Every dataclass of the floors whose text is made of its fields."""
    for floor in ("schema", "storage", "tasks", "web"):
        for path in sorted((ROOT / floor).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef) and shows_its_fields(node):
                    yield path.relative_to(ROOT).as_posix(), node


def shows_its_fields(made: ast.ClassDef) -> bool:
    decorators = [ast.unparse(one) for one in made.decorator_list]
    own = {part.name for part in made.body if isinstance(part, ast.FunctionDef)}
    return any("dataclass" in one and "repr=False" not in one for one in decorators) and "__repr__" not in own


def shown_secrets(name: str, made: ast.ClassDef) -> Iterator[str]:
    for part in made.body:
        if not isinstance(part, ast.AnnAssign) or not isinstance(part.target, ast.Name):
            continue
        holds_text = re.search(r"\bstr\b|Mapping|dict", ast.unparse(part.annotation))
        hidden = part.value is not None and "repr=False" in ast.unparse(part.value)
        if TELLING.search(part.target.id) and holds_text and not hidden:
            yield f"{name} {made.name}.{part.target.id}"


def test_no_dataclass_shows_a_secret() -> None:
    found = {one for name, made in dataclasses() for one in shown_secrets(name, made)}
    assert found == set(HARMLESS)


def test_the_look_sees_one() -> None:
    fields = "password: str\n    token: int\n    key: str = field(repr=False)"
    [made] = ast.parse(f"@dataclass\nclass Kept:\n    {fields}").body
    [hidden] = ast.parse(f"@dataclass(repr=False)\nclass Kept:\n    {fields}").body
    assert isinstance(made, ast.ClassDef) and isinstance(hidden, ast.ClassDef)
    assert list(shown_secrets("here", made)) == ["here Kept.password"]
    assert shows_its_fields(made) and not shows_its_fields(hidden)
