"""The shelf of packs: every JSON file beside this one, read and checked once a process."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from schema.pack import Pack, load_pack


@cache
def shelf() -> tuple[Pack, ...]:
    """All packs, by id. Raises ``Invalid`` when a file breaks the format."""
    folder = Path(__file__).parent
    return tuple(load_pack(json.loads(path.read_text("utf-8"))) for path in sorted(folder.glob("*.json")))


def pack_named(pack_id: str) -> Pack:
    """The pack with this id. Raises ``KeyError`` when it is not on the shelf."""
    for pack in shelf():
        if pack["id"] == pack_id:
            return pack
    raise KeyError(pack_id)
