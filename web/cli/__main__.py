"""``python -m web.cli ...`` is ``coursewright ...``."""

from __future__ import annotations

from web.cli import main

main()
