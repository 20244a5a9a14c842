"""Values of the environment, read one by one. What is missing or malformed is gathered instead of raised."""

from __future__ import annotations

import re
from collections.abc import Mapping


class Reader:
    """Reads typed values and collects every fault, so that one start shows all of them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.faults: list[str] = []

    def text(self, name: str, default: str | None = None, *, needs: str = "") -> str:
        value = self.environ.get(name, "").strip()
        if value:
            return value
        if default is None:
            self.faults.append(f"{name} is not set. It needs {needs}.")
            return ""
        return default

    def optional(self, name: str) -> str | None:
        return self.environ.get(name, "").strip() or None

    def shaped(self, name: str, pattern: str, needs: str) -> str | None:
        """A text that fits a pattern from its beginning. The fault doesn't repeat it: it may carry a password."""
        value = self.optional(name)
        if value and not (re.match(pattern, value) and _port_is_sound(value)):
            self.faults.append(f"{name} is malformed. It needs {needs}.")
        return value

    def url(self, name: str, pattern: str, needs: str) -> str:
        return self.shaped(name, pattern, needs) or self.text(name, needs=needs)

    def number(self, name: str, default: float, low: float, high: float) -> float:
        raw = self.environ.get(name, "").strip()
        if not raw:
            return default
        try:
            value = float(raw)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            self.faults.append(f"{name} is {raw!r}. It needs a number from {low:g} to {high:g}.")
            return default
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        raw = self.environ.get(name, "").strip()
        if raw and not re.fullmatch(r"-?\d+", raw):
            self.faults.append(f"{name} is {raw!r}. It needs a whole number from {low} to {high}.")
            return default
        return int(self.number(name, default, low, high))

    def limit(self, name: str) -> int | None:
        """A number a minute; none when it is unset."""
        return self.whole(name, 1, 1, 1_000_000_000) if self.optional(name) else None


def _port_is_sound(url: str) -> bool:
    """Whether a URL names no port, or one that exists. It stands behind the password, which may contain anything."""
    _, _, rest = url.partition("://")
    host = re.split("[/?#]", rest.rpartition("@")[2])[0]
    port = re.search(r":([^:\]]*)\Z", host)
    return port is None or (re.fullmatch(r"[0-9]{1,5}", port[1]) is not None and 0 < int(port[1]) < 65536)
