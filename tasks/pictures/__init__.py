"""Drawing a pack's diagrams here, with Pillow alone: no service, no fonts to install, the same bytes every time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schema.pack import PackDiagram
from tasks.pictures.canvas import Canvas, Drawing
from tasks.pictures.charts import bar_chart
from tasks.pictures.cycles import cycle
from tasks.pictures.flows import flow
from tasks.pictures.fractions import fraction_bars
from tasks.pictures.number_lines import number_line
from tasks.pictures.panels import labelled
from tasks.pictures.spec import bad

__all__ = ["Drawing", "draw"]

_FAMILIES: dict[str, Callable[[dict[str, Any]], Canvas]] = {
    "bar_chart": bar_chart,
    "cycle": cycle,
    "flow": flow,
    "fraction_bars": fraction_bars,
    "labelled": labelled,
    "number_line": number_line,
}


def draw(diagram: PackDiagram) -> Drawing:
    """The picture of a diagram: a PNG 1280 pixels wide and as high as its content needs.

    Raises ``Permanent`` with code ``bad_diagram``; its details list each faulty field of the spec.
    """
    family = _FAMILIES.get(diagram["kind"])
    if family is None:
        raise bad("kind", f"There is no kind {diagram['kind']!r}.")
    return family(diagram["spec"]).drawing()
