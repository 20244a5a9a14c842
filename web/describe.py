"""What a view takes and gives, written beside it, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from marshmallow import Schema, fields

View = TypeVar("View", bound=Callable[..., Any])


class Either(fields.Dict):
    """An object of one of several shapes, for descriptions; what comes in is checked elsewhere."""

    def __init__(self, *schemas: type[Schema], **more: Any) -> None:
        super().__init__(**more)
        self.schemas = schemas


@dataclass(frozen=True)
class Description:
    """``answers`` maps a status to a schema (or none) and a sentence; ``problems`` are error statuses it may give;
    ``tagged`` answers carry an ETag, so that a view asked with ``If-None-Match`` may say 304.

    ``query`` and ``headers`` map the name of a parameter, which may always be left out, to a sentence."""

    summary: str
    answers: Mapping[int, tuple[type[Schema] | None, str]]
    body: type[Schema] | None = None
    body_required: bool = True
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[int, ...] = ()
    media_type: str = "application/json"
    tagged: bool = False
    #: Other media types the body may have, each with the JSON Schema of what it holds.
    other_bodies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def describe(
    summary: str,
    answers: Mapping[int, tuple[type[Schema] | None, str]],
    *,
    body: type[Schema] | None = None,
    body_required: bool = True,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    problems: tuple[int, ...] = (),
    media_type: str = "application/json",
    tagged: bool = False,
    other_bodies: Mapping[str, Mapping[str, Any]] | None = None,
) -> Callable[[View], View]:
    """Attach a description to a view. A guard test fails for an API view without one."""

    def attach(view: View) -> View:
        made = Description(
            summary,
            answers,
            body,
            body_required,
            query or {},
            headers or {},
            problems,
            media_type,
            tagged,
            other_bodies or {},
        )
        view.description = made  # type: ignore[attr-defined]
        return view

    return attach
