"""Where somebody goes on after signing in: to the page they came from, on this site and nowhere else. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

HOME = "/"
_LONGEST = 2000
#: A path of ours: one slash and no second one, which would name a host, and nothing a browser takes for a slash or
#: drops.
_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")


def way_back(given: str | None) -> str:
    """The path that was asked for, with its query; the home page for anything that could lead elsewhere."""
    if not given or len(given) > _LONGEST or not _PATH.fullmatch(given):
        return HOME
    try:
        parts = urlsplit(given)
    except ValueError:
        return HOME
    is_ours = not parts.scheme and not parts.netloc and parts.path.startswith("/")
    return given if is_ours and not parts.path.startswith(("/login", "/logout", "/api/")) else HOME
