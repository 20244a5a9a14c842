"""The school year a request is for, kindergarten included."""

from __future__ import annotations

import re

from schema.job import CourseRequest

_YEAR = re.compile(r"\b(?P<kindergarten>pre-?k|k|kg|kindergarten)\b|(?P<number>[0-9]{1,9})", re.IGNORECASE)


def school_year(request: CourseRequest) -> int | None:
    """The first school year named in ``grade``, else in ``gradeBand``: 0 for kindergarten, none when none is named."""
    for text in (request.get("grade", ""), request["gradeBand"]):
        if found := _YEAR.search(text):
            return 0 if found["kindergarten"] else int(found["number"])
    return None
