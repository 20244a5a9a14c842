from __future__ import annotations

import time

import pytest

from schema.markers import (
    IMAGE,
    MARKER,
    MEANT_AS_MARKER,
    SECTION,
    image_marker,
    image_markers,
    place_of,
    section_marker,
)


def test_markers_are_read_in_order_without_the_spaces_around() -> None:
    content = "[IMAGE: a leaf]\n[SECTION:One]\ntext [IMAGE:  a\nroot ] and [IMAGE:] and [image: no]"
    assert image_markers(content) == ["a leaf", "a\nroot"]


def test_a_text_falls_into_its_sections() -> None:
    content = f"Before {section_marker('One')} first {section_marker('Two')} second"
    assert SECTION.split(content) == ["Before ", "One", " first ", "Two", " second"]
    assert SECTION.split("[SECTION:not\none]") == ["[SECTION:not\none]"]


@pytest.mark.parametrize("shows", ["a leaf", "a (green) leaf?", "one\nand two"])
def test_what_is_written_is_read(shows: str) -> None:
    assert image_markers(image_marker(shows)) == [shows]
    assert place_of(shows).fullmatch(image_marker(shows))
    assert not place_of(shows).search(image_marker(f"{shows} more"))
    assert MARKER.sub("", image_marker(shows) + section_marker("One")) == ""


def test_what_was_meant_as_a_marker_is_found_in_any_spelling() -> None:
    assert MEANT_AS_MARKER.sub("", "[image a cat][Section: x][IMAGE:]") == ""
    assert MEANT_AS_MARKER.sub("", "[sectional sofa] [blank]") == "[sectional sofa] [blank]"


@pytest.mark.parametrize("pattern", [SECTION, IMAGE, MARKER])
def test_markers_that_never_end_take_no_long_time(pattern: object) -> None:
    began = time.perf_counter()
    assert not MARKER.search("[IMAGE:[SECTION:" * 5000)
    assert not getattr(pattern, "search")("[IMAGE:[SECTION:" * 5000)  # noqa: B009
    assert time.perf_counter() - began < 2
