"""marshmallow's fields, made strict: a value of another JSON type is refused, never converted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, pre_load, validate

from schema.errors import FieldError, Invalid

_FORBIDDEN = re.compile("[\x00\ud800-\udfff]")
#: Turn the direction of what follows them, also of words that are somebody else's.
_TURNING = "\u202a-\u202e\u2066-\u2069"
_NOT_IN_LINES = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_TURNING}]")
_NOT_IN_A_LINE = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029{_TURNING}]")


#: For a text that names a language.
LANGUAGE_TAG = validate.Regexp(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z", error="Use a language tag such as en or pt-BR.")


def snake(name: str) -> str:
    """``itemsPerGroup`` -> ``items_per_group``."""
    return re.sub(r"(?<!^)([A-Z])", lambda m: "_" + m.group(1).lower(), name)


class Text(fields.String):
    """A JSON string without NUL and lone surrogates, which neither Postgres nor UTF-8 can keep."""

    default_error_messages = {"unstorable": "Contains a NUL character or half of a surrogate pair."}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        if _FORBIDDEN.search(value):
            raise self.make_error("unstorable")
        return value


class Lines(Text):
    """What a person writes over several lines: no control characters but tabs and line breaks, and none that turn the
    direction of the text. ``refused`` is the class of such characters."""

    default_error_messages = {"control": "Contains a control character other than tabs and line breaks."}
    refused = _NOT_IN_LINES

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if self.refused.search(text):
            raise self.make_error("control")
        return text


class Line(Lines):
    """What a person writes on one line, such as a title."""

    default_error_messages = {"control": "Contains a line break, a tab or another control character."}
    refused = _NOT_IN_A_LINE


class Few(fields.List[Any]):
    """A list of at most ``most``. Its length is judged before what is in it: else one that is far too long takes long
    to refuse."""

    def __init__(self, entry: fields.Field[Any], most: int, least: int = 0, **more: Any) -> None:
        self._length = validate.Length(least or None, most)
        validators = more.pop("validate", [])
        super().__init__(entry, validate=[self._length, *validators], **more)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if isinstance(value, list):
            self._length(value)
        return super()._deserialize(value, attr, data, **kwargs)


class Whole(fields.Integer):
    """A JSON integer; ``true``, ``"12"`` and ``1.5`` are refused."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid")
        return value


class Number(fields.Float):
    """A finite JSON number; booleans and strings are refused."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int | float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid")
        if value != value or value in (float("inf"), float("-inf")):
            raise self.make_error("special")
        return value


class Flag(fields.Boolean):
    """A JSON boolean; ``1`` and ``"true"`` are refused."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class StrictSchema(Schema):
    """Refuses unknown keys and takes each key in camelCase or in snake_case (not both)."""

    class Meta:
        unknown = RAISE

    @pre_load
    def _camel_case(self, given: Any, **_: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        spellings: dict[str, str] = {}
        for name in self.fields:
            spellings[snake(name)] = name
        renamed: dict[str, Any] = {}
        for given_key, value in given.items():
            proper = spellings.get(str(given_key), str(given_key))
            if proper in renamed:
                raise ValidationError(f"Given twice, as {proper} and {snake(proper)}.", field_name=proper)
            renamed[proper] = value
        return renamed


def flatten(messages: Any, path: str = "") -> list[FieldError]:
    """marshmallow's nested messages as a flat list, one ``FieldError`` for each fault of each field."""
    if isinstance(messages, Mapping):
        found = []
        for key, inner in messages.items():
            step = "" if key == "_schema" else str(key)
            found += flatten(inner, ".".join(part for part in (path, step) if part))
        return found
    if isinstance(messages, list):
        return [error for message in messages for error in flatten(message, path)]
    return [FieldError(path or "body", _code(str(messages)), str(messages))]


def _code(message: str) -> str:
    if message.startswith("Unknown field"):
        return "unknown_field"
    if message.startswith("Missing data"):
        return "required"
    if message.startswith("Not a valid") or message.startswith("Invalid input type"):
        return "wrong_type"
    return "invalid_value"


def load(schema: Schema, given: Any, under: str = "") -> dict[str, Any]:
    """Load ``given``; raises ``Invalid`` naming every faulty field, its path below ``under``."""
    try:
        loaded: dict[str, Any] = schema.load(given)
    except ValidationError as error:
        raise Invalid(flatten(error.messages, under)) from None
    return loaded
