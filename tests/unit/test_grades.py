from __future__ import annotations

import pytest

from schema.grades import school_year


@pytest.mark.parametrize(
    ("grade", "band", "year"),
    [
        ("Grade 4", "9-12", 4),
        ("11th grade", "", 11),
        ("everyone", "6-8", 6),
        (None, "Grades 3-5", 3),
        (None, "K-2", 2),
        ("K", "3-5", 3),
        (None, "everyone", None),
        ("", "", None),
    ],
)
def test_the_first_number_in_the_grade_or_else_in_the_band_decides(
    grade: str | None, band: str, year: int | None
) -> None:
    assert school_year(grade, band) == year


@pytest.mark.parametrize(
    ("grade", "band", "year"),
    [
        ("Grade 4", "everyone", 4),
        ("K", "3-5", 0),
        ("Kindergarten", "everyone", 0),
        ("Pre-K", "everyone", 0),
        (None, "K-2", 0),
        (None, "Grades 3-5", 3),
        ("everyone", "6-8", 6),
        (None, "1-K", 1),
        (None, "the 5Ks", 5),
        (None, "everyone", None),
    ],
)
def test_kindergarten_is_year_zero_where_it_is_taught(grade: str | None, band: str, year: int | None) -> None:
    assert school_year(grade, band, kindergarten=True) == year
