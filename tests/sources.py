"""Our source files as trees. Many guards look at all of them, and each file is parsed once a process."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path


@cache
def parsed(path: Path) -> ast.Module:
    """The tree of a file. It is everybody's: look, and change nothing."""
    return ast.parse(path.read_text("utf-8"))
