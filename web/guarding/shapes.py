"""How a JSON body may be built. Nothing that is asked of this API nests deeper than eight levels."""

from __future__ import annotations

from itertools import chain
from typing import Any

from schema.errors import BadRequest

DEEPEST = 32
#: In all objects of a body together. A batch of 500 jobs with every field has 10,000.
MOST_KEYS = 50_000
#: Brackets that open something, in its texts too. Python takes a second for a megabyte of nothing else.
MOST_OPENED = 100_000


def check_parts(raw: bytes) -> None:
    """Raise ``BadRequest`` (``body_too_complex``) for a body of very many lists and objects, before it is read."""
    if raw.count(b"[") + raw.count(b"{") > MOST_OPENED:
        raise too_complex(f"It has more than {MOST_OPENED} opening brackets.")


def check_depth(value: Any) -> None:
    """Raise ``BadRequest`` (``body_too_complex``) for what nests deeper than ``DEEPEST``. Goes level by level, because
    what nests too deep for a check that calls itself is what this looks for."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEEPEST):
        inner = chain.from_iterable(one.values() if isinstance(one, dict) else one for one in level)
        level = [one for one in inner if isinstance(one, dict | list)]
        if not level:
            return
    raise too_complex(f"It nests deeper than {DEEPEST} levels.")


def too_complex(reason: str) -> BadRequest:
    """The refusal of a body that is JSON and can't be anything this API takes."""
    return BadRequest(f"The body can't be read. {reason}", code="body_too_complex")
