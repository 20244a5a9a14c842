"""Asking a text model for JSON of a given shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from schema.errors import Transient
from schema.reading import Unreadable as UnreadableText
from schema.reading import read_json
from schema.settings import ModelSettings
from tasks.clients.connection import one_call
from tasks.clients.gate import Gate, estimated_tokens
from tasks.clients.record import Conversation, Recorder, Usage
from tasks.clients.translate import Unreadable, refused

#: How often one question is put before its answer counts as unreadable.
ASK_TIMES = 3


@dataclass(frozen=True)
class Ask:
    """One question. ``purpose`` is what the call is for, as shown in records (``plan``, ``items`` ...);
    ``schema`` is the JSON Schema of the answer, in the subset that strict mode knows; without a ``temperature``
    the model's own is used, since some models accept no other."""

    purpose: str
    prompt_name: str
    prompt_version: str
    system: str
    user: str
    schema_name: str
    schema: dict[str, Any]
    temperature: float | None = None


class TextClient:
    """Chat Completions with a strict JSON schema, which every compatible server honours."""

    def __init__(self, settings: ModelSettings, record: Recorder, gate: Gate) -> None:
        self._settings = settings
        self._record = record
        self._gate = gate

    async def complete(self, ask: Ask) -> Any:
        """The answer, read and of the asked shape. An answer that is unreadable, truncated or of another shape is
        asked for again, twice at most.

        Raises ``ModelNotConfigured``, ``Permanent`` or ``Transient`` with the codes of ``translate.translated``.
        """
        complaint = ""
        for _ in range(ASK_TIMES):
            try:
                return await self._once(ask, complaint)
            except Unreadable as error:
                complaint = error.message
        words = f"The model {self._settings.text_model} gave {ASK_TIMES} answers that can't be used. {complaint}"
        raise Unreadable(words, details={"purpose": ask.purpose})

    async def _once(self, ask: Ask, complaint: str) -> Any:
        model = self._settings.text_model
        again = f"\n\nYour last answer could not be used. {complaint} Answer again, completely." if complaint else ""
        said = Conversation(ask.system, ask.user + again)
        wanted: dict[str, Any] = {} if ask.temperature is None else {"temperature": ask.temperature}
        async with one_call(
            self._settings,
            self._record,
            self._gate,
            purpose=ask.purpose,
            prompt_version=ask.prompt_version,
            model=model,
            tokens=estimated_tokens(said.system, said.user),
        ) as (client, usage):
            usage.conversation = said
            answer: Any = await client.chat.completions.create(
                model=model,
                messages=[{"role": "system", "content": said.system}, {"role": "user", "content": said.user}],
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": ask.schema_name, "schema": ask.schema, "strict": True},
                },
                **wanted,
            )
            _note_usage(answer, usage)
            said.answer = _content(answer, model)
            said.answer = _checked(said.answer, ask.schema)
            return said.answer


def _note_usage(answer: Any, usage: Usage) -> None:
    told = getattr(answer, "usage", None)
    for ours, theirs in (("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens")):
        count = getattr(told, theirs, None)
        if isinstance(count, int):
            setattr(usage, ours, count)


def _content(answer: Any, model: str) -> str:
    """The text of an answer. The library checks nothing, so neither choices nor message need be there."""
    if isinstance(answer, str):  # the library's way with a 200 that isn't JSON, a login page for instance
        words = "The model endpoint answered with a page instead of JSON. Check OPENAI_BASE_URL."
        raise Transient(words, code=Unreadable.code)  # asking again at once would bring the same page
    choices = getattr(answer, "choices", None)
    first = choices[0] if isinstance(choices, list) and choices else None
    message = getattr(first, "message", None)
    reason = getattr(first, "finish_reason", None)
    if getattr(message, "refusal", None) or reason == "content_filter":
        raise refused(model)
    if reason == "length":
        raise Unreadable("The answer was cut off at the length limit.")
    content = getattr(message, "content", None)
    if not isinstance(content, str) or not content.strip():
        raise Unreadable("The answer was empty.")
    return content


def _checked(content: str, schema: dict[str, Any]) -> Any:
    """The value in ``content``, when it has the asked shape. The model's own words stay out of the complaint."""
    try:
        value = read_json(content)
    except UnreadableText as error:
        raise Unreadable("The JSON was cut off." if error.truncated else "It was not JSON.") from None
    for fault in Draft202012Validator(schema).iter_errors(value):
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault.absolute_path)
        raise Unreadable(f"At ${place} it breaks the schema's rule {str(fault.validator)!r}.")
    return value
