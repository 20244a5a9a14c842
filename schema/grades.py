"""The school year a course is for."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"(?P<number>[0-9]{1,9})")
_YEAR = re.compile(r"\b(?P<kindergarten>pre-?k|k|kg|kindergarten)\b|" + _NUMBER.pattern, re.IGNORECASE)


def school_year(grade: str | None, grade_band: str, *, kindergarten: bool = False) -> int | None:
    """The first number in ``grade``, else in ``gradeBand`` (public contract 4); none when there is none in either.

    With ``kindergarten``, a K or a kindergarten named before any number counts as year 0. Only sums begin that early:
    packs and reading levels begin with grade 1, and read "K-2" as 2.
    """
    for text in (grade or "", grade_band):
        if found := (_YEAR if kindergarten else _NUMBER).search(text):
            return int(found["number"] or 0)
    return None
