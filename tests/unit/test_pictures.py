"""Drawing a pack's diagrams: every kind, the same bytes every time, nothing cut off, faults named."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from schema.errors import Permanent
from schema.pack import PackDiagram
from tasks.packs import shelf
from tasks.pictures import draw
from tasks.pictures.charts import number_text, ticks_over
from tasks.pictures.lettering import block, spelled, width_of
from tasks.pictures.palette import INK, LINE, MUTED, PAGE, PAIRS, WHITE, contrast

SPECS: dict[str, dict[str, Any]] = {
    "cycle": {
        "title": "Water on the move",
        "nodes": [{"label": "Ocean", "note": "salt water"}, {"label": "Cloud"}, {"label": "River"}],
        "arrows": ["rises", "", "flows"],
    },
    "flow": {"title": "From seed to plant", "steps": [{"label": "Seed"}, {"label": "Sprout", "note": "first leaf"}]},
    "bar_chart": {
        "title": "Rain",
        "unit": "mm",
        "bars": [{"label": "May", "value": 12.5}, {"label": "June", "value": 0}],
    },
    "labelled": {
        "title": "Words",
        "rows": [{"label": "sum", "text": "what adding gives"}, {"label": "3/4", "text": "x"}],
    },
    "number_line": {"title": "Halves", "from": 0, "to": 2, "step": 0.5, "marks": [{"at": 0.5, "label": "1/2"}]},
    "fraction_bars": {"title": "Fourths", "bars": [{"parts": 4, "shaded": 5, "label": "1 1/4"}]},
}


def diagram(kind: Any, spec: dict[str, Any]) -> PackDiagram:
    return {"shows": "a picture", "kind": kind, "spec": spec}


def opened(png: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(png))
    picture.load()
    return picture


def frame_is_bare(picture: Image.Image) -> bool:
    """Whether nothing was drawn up to the very edge of the sheet, where it would be cut off."""
    wide, high = picture.size
    inner = picture.crop((4, 4, wide - 4, high - 4))
    framed = Image.new("RGB", picture.size, PAGE)
    framed.paste(inner, (4, 4))
    return framed.tobytes() == picture.tobytes()


def fault_of(kind: str, spec: dict[str, Any]) -> str:
    """The path of the first fault drawing this spec names."""
    with pytest.raises(Permanent) as caught:
        draw(diagram(kind, spec))
    assert caught.value.code == "bad_diagram"
    path: str = caught.value.details["errors"][0]["path"]
    assert path in caught.value.message
    return path


@pytest.mark.parametrize("kind", sorted(SPECS))
def test_every_kind_is_a_png_of_the_size_it_says(kind: str) -> None:
    drawing = draw(diagram(kind, SPECS[kind]))
    picture = opened(drawing.png)
    assert picture.format == "PNG"
    assert picture.size == (drawing.width, drawing.height)
    assert drawing.width == 1280
    assert 240 <= drawing.height <= 1400
    assert frame_is_bare(picture)
    assert len(picture.getcolors(1 << 20) or []) > 20


@pytest.mark.parametrize("kind", sorted(SPECS))
def test_the_same_spec_gives_the_same_bytes(kind: str) -> None:
    assert draw(diagram(kind, SPECS[kind])) == draw(diagram(kind, SPECS[kind]))


@pytest.mark.parametrize("kind", sorted(SPECS))
def test_another_title_gives_another_picture(kind: str) -> None:
    other = {**SPECS[kind], "title": "Something else"}
    assert draw(diagram(kind, other)).png != draw(diagram(kind, SPECS[kind])).png


@pytest.mark.parametrize("pack", shelf(), ids=lambda pack: pack["id"])
def test_every_diagram_on_the_shelf_can_be_drawn(pack: Any) -> None:
    for each in pack["diagrams"]:
        assert frame_is_bare(opened(draw(each).png)), each["shows"]


def test_an_unknown_kind_is_named() -> None:
    assert fault_of("pie", {}) == "spec.kind"


@pytest.mark.parametrize(
    ("kind", "change", "path"),
    [
        ("cycle", {"nodes": [{"label": "a"}, {"label": "b"}]}, "spec.nodes"),
        ("cycle", {"arrows": ["one"] * 4}, "spec.arrows"),
        ("cycle", {"nodes": [{"label": "a"}, {"label": "b"}, {"note": "c"}]}, "spec.nodes.2.label"),
        ("flow", {"steps": [{"label": "alone"}]}, "spec.steps"),
        ("flow", {"steps": [{"label": "a"}, {"label": "b", "notes": "?"}]}, "spec.steps.1.notes"),
        ("flow", {"title": "   "}, "spec.title"),
        ("bar_chart", {"bars": [{"label": "a", "value": 0}, {"label": "b", "value": 0}]}, "spec.bars"),
        ("bar_chart", {"bars": [{"label": "a", "value": "3"}, {"label": "b", "value": 0}]}, "spec.bars.0.value"),
        ("labelled", {"rows": [{"label": "a", "text": "b"}]}, "spec.rows"),
        ("labelled", {"rows": [{"label": "a", "text": "b"}, {"label": "c", "text": "水"}]}, "spec.rows.1.text"),
        ("number_line", {"to": 0}, "spec.to"),
        ("number_line", {"step": 0}, "spec.step"),
        ("number_line", {"step": 0.7}, "spec.step"),
        ("number_line", {"step": 0.001}, "spec.step"),
        ("number_line", {"marks": [{"at": 3, "label": "off"}]}, "spec.marks.0.at"),
        ("number_line", {"marks": [{"at": 1, "label": f"a long label {n}"} for n in range(16)]}, "spec.marks"),
        ("fraction_bars", {"bars": [{"parts": 0, "shaded": 0, "label": "?"}]}, "spec.bars.0.parts"),
        ("fraction_bars", {"bars": [{"parts": 2, "shaded": 9, "label": "9/2"}]}, "spec.bars.0.shaded"),
    ],
)
def test_a_spec_that_does_not_fit_names_its_field(kind: str, change: dict[str, Any], path: str) -> None:
    assert fault_of(kind, {**SPECS[kind], **change}) == path


def test_cards_too_long_for_a_ring_are_refused_not_squeezed() -> None:
    nodes = [{"label": "word " * 15, "note": "many words in a note " * 7} for _ in range(8)]
    assert fault_of("cycle", {"title": "Crowded", "nodes": nodes}) == "spec.nodes"


@settings(max_examples=12, deadline=None)
@given(
    kind=st.sampled_from(["cycle", "flow"]),
    labels=st.lists(st.text("aMi W-", min_size=1, max_size=60).filter(str.strip), min_size=3, max_size=7),
    note=st.text("nW ", min_size=1, max_size=120).filter(str.strip),
)
def test_text_of_any_length_stays_on_the_sheet_or_is_refused(kind: str, labels: list[str], note: str) -> None:
    places = [{"label": label, "note": note} for label in labels]
    spec = {"title": labels[0], "nodes" if kind == "cycle" else "steps": places}
    try:
        drawing = draw(diagram(kind, spec))
    except Permanent as error:
        assert error.code == "bad_diagram"
    else:
        assert frame_is_bare(opened(drawing.png))


@given(st.text("iW x", max_size=80).filter(str.strip), st.floats(60, 400))
def test_no_line_is_wider_than_its_place_and_no_letter_is_lost(text: str, width: float) -> None:
    broken = block(text, "text", 20, width)
    assert all(width_of(line, 20) <= width for line in broken.lines)
    assert "".join(broken.lines).replace(" ", "") == text.replace(" ", "")


def test_signs_the_font_lacks_are_spelled() -> None:
    assert spelled("CO₂ – 3 × 4 − ½ café", "text") == "CO2 - 3 x 4 - 1/2 cafe"


@pytest.mark.parametrize("colours", PAIRS, ids=lambda colours: colours.strong)
def test_text_stands_out_from_every_colour_it_is_set_on(colours: Any) -> None:
    assert contrast(INK, colours.soft) >= 4.5
    assert contrast(WHITE, colours.strong) >= 4.5
    assert contrast(colours.strong, PAGE) >= 3


def test_text_stands_out_from_the_page() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast(INK, PAGE) >= 4.5
    assert contrast(MUTED, PAGE) >= 4.5
    assert contrast(LINE, PAGE) >= 3


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (-0.0, "0"), (100, "100"), (1234.5, "1,234.5"), (-2.25, "-2.25"), (0.055, "0.055")],
)
def test_numbers_are_written_without_needless_digits(value: float, text: str) -> None:
    assert number_text(value) == text


def test_years_are_written_without_a_comma() -> None:
    assert number_text(1776, grouped=False) == "1776"


@given(st.integers(-1_000_000, 0), st.integers(1, 1_000_000))
def test_ticks_are_few_and_cover_the_values(low: int, high: int) -> None:
    ticks = ticks_over(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    assert 3 <= len(ticks) <= 9
    assert 0 in ticks
