"""How a course gets its content: compiled from a pack, computed, or written by a model."""

from __future__ import annotations

from dataclasses import dataclass

from schema.errors import ModelNotConfigured
from schema.job import CourseRequest
from schema.pack import Pack
from schema.skeleton import StrategyName
from tasks.packs import shelf
from tasks.strategies.arithmetic import serves as is_arithmetic
from tasks.strategies.packs import find_pack


@dataclass(frozen=True)
class Choice:
    """The strategy for a request, and the pack when it is one."""

    name: StrategyName
    pack: Pack | None = None


def choose(request: CourseRequest, model_configured: bool) -> Choice:
    """Notes need a model, because only a model can follow them; else a pack, else arithmetic, else a model.

    Raises ``ModelNotConfigured`` when a model would be needed and there is none."""
    if request["notes"].strip():
        if not model_configured:
            raise ModelNotConfigured(
                "Notes are carried out by a model, and none is configured. Leave the notes out, or set OPENAI_API_KEY "
                "or OPENAI_BASE_URL."
            )
        return Choice("llm")
    pack = find_pack(shelf(), request)
    if pack is not None:
        return Choice("pack", pack)
    if is_arithmetic(request):
        return Choice("arithmetic")
    if not model_configured:
        raise ModelNotConfigured(
            f"No pack covers {request['subject']!r} for this grade, language and mode, it is not arithmetic, and no "
            "model is configured. Set OPENAI_API_KEY or OPENAI_BASE_URL, or ask for one of: "
            + ", ".join(pack["topic"] for pack in shelf())
            + "."
        )
    return Choice("llm")
