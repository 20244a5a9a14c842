"""The shelf of packs: every JSON file beside this one, read and checked once a process."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from schema.errors import Invalid, SettingsError
from schema.pack import Pack, load_pack


@cache
def shelf() -> tuple[Pack, ...]:
    """All packs, by id. Raises ``SettingsError`` naming the file that breaks the format: a fault of ours, not of
    whoever happens to ask for a course."""
    return tuple(_read(path) for path in sorted(Path(__file__).parent.glob("*.json")))


def _read(path: Path) -> Pack:
    try:
        return load_pack(json.loads(path.read_text("utf-8")))
    except (Invalid, ValueError) as error:
        raise SettingsError(f"The pack {path.name} can't be used: {error}") from error


def pack_named(pack_id: str) -> Pack:
    """The pack with this id. Raises ``KeyError`` when it is not on the shelf."""
    for pack in shelf():
        if pack["id"] == pack_id:
            return pack
    raise KeyError(pack_id)
