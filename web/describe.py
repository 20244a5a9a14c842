"""What a view takes and gives, written beside it, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from marshmallow import Schema

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Description:
    """``answers`` maps a status to a schema (or none) and a sentence; ``problems`` are error statuses it may give."""

    summary: str
    answers: Mapping[int, tuple[type[Schema] | None, str]]
    body: type[Schema] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[int, ...] = ()
    media_type: str = "application/json"


def describe(
    summary: str,
    answers: Mapping[int, tuple[type[Schema] | None, str]],
    *,
    body: type[Schema] | None = None,
    query: Mapping[str, str] | None = None,
    problems: tuple[int, ...] = (),
    media_type: str = "application/json",
) -> Callable[[View], View]:
    """Attach a description to a view. A guard test fails for an API view without one."""

    def attach(view: View) -> View:
        view.description = Description(summary, answers, body, query or {}, problems, media_type)  # type: ignore[attr-defined]
        return view

    return attach
