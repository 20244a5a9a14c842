"""Which version this is. The same stands in pyproject.toml and on the image; a test compares them."""

from __future__ import annotations

VERSION = "0.1.0"
