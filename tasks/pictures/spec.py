"""Reading a diagram's spec: whatever does not fit is a ``Permanent`` that names the field."""

from __future__ import annotations

from typing import Any

from marshmallow import validate

from schema.errors import FieldError, Invalid, Permanent
from schema.fields import StrictSchema, Text, load

CODE = "bad_diagram"


class TitledSchema(StrictSchema):
    """What every diagram has."""

    title = Text(required=True, validate=validate.Length(1, 120))


def bad(field: str, message: str) -> Permanent:
    """The error for one field, e.g. ``nodes.2.label``."""
    return _error([FieldError(f"spec.{field}", CODE, message)])


def read(schema: StrictSchema, given: dict[str, Any]) -> dict[str, Any]:
    """The spec, checked. Raises ``Permanent`` (``bad_diagram``) with every faulty field in its details."""
    try:
        return load(schema, given, under="spec")
    except Invalid as invalid:
        raise _error(invalid.errors) from None


def _error(faults: list[FieldError]) -> Permanent:
    words = f"The diagram can't be drawn: {faults[0].path}: {faults[0].message}"
    return Permanent(words, code=CODE, details={"errors": [fault.as_json() for fault in faults]})
