"""Asking a text model for JSON of a given shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from schema.reading import Unreadable as UnreadableText
from schema.reading import read_json
from schema.settings import ModelSettings
from tasks.clients.answers import Answer, in_one_piece, streamed
from tasks.clients.connection import one_call
from tasks.clients.gate import Gate, estimated_tokens
from tasks.clients.readable import Reader, Say
from tasks.clients.record import Conversation, Recorder, Usage
from tasks.clients.translate import Unreadable, broken_off, refused, refuses_streams

if TYPE_CHECKING:
    from openai import AsyncOpenAI

#: How often one question is put before its answer counts as unreadable.
ASK_TIMES = 3


@dataclass(frozen=True)
class Ask:
    """One question. ``purpose`` is what the call is for, as shown in records (``plan``, ``items`` ...);
    ``schema`` is the JSON Schema of the answer, in the subset that strict mode knows; without a ``temperature``
    the model's own is used, since some models accept no other. ``model`` is whom to ask, where that was chosen."""

    purpose: str
    prompt_name: str
    prompt_version: str
    system: str
    user: str
    schema_name: str
    schema: dict[str, Any]
    temperature: float | None = None
    model: str | None = None


class TextClient:
    """Chat Completions with a strict JSON schema, which every compatible server honours."""

    def __init__(self, settings: ModelSettings, record: Recorder, gate: Gate) -> None:
        self._settings = settings
        self._record = record
        self._gate = gate
        #: Until the endpoint says that it doesn't.
        self._streams = True

    async def complete(self, ask: Ask, say: Say | None = None) -> Any:
        """The answer, read and of the asked shape. An answer that is unreadable, truncated or of another shape is
        asked for again, twice at most. ``say`` gets the words of the answer that people read while it comes; only then
        it is streamed.

        Raises ``ModelNotConfigured``, ``Permanent`` or ``Transient`` with the codes of ``translate.translated``.
        """
        complaint = ""
        for _ in range(ASK_TIMES):
            try:
                return await self._once(ask, complaint, say)
            except Unreadable as error:
                complaint = error.message
        model = ask.model or self._settings.text_model
        words = f"The model {model} gave {ASK_TIMES} answers that can't be used. {complaint}"
        raise Unreadable(words, details={"purpose": ask.purpose})

    async def _once(self, ask: Ask, complaint: str, say: Say | None) -> Any:
        model = ask.model or self._settings.text_model
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
            asked = {
                "model": model,
                "messages": [{"role": "system", "content": said.system}, {"role": "user", "content": said.user}],
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": ask.schema_name, "schema": ask.schema, "strict": True},
                },
                **wanted,
            }
            answer = await self._answer(client, asked, usage, say)
            said.answer = answer.content or None
            said.answer = _value_of(answer, model, ask.schema)
            return said.answer

    async def _answer(self, client: AsyncOpenAI, asked: dict[str, Any], usage: Usage, say: Say | None) -> Answer:
        if say is None or not self._streams:
            return await in_one_piece(client, asked, usage)
        from openai import APIStatusError  # noqa: PLC0415 - takes 0.6 s

        reader = Reader(say)
        try:
            return await streamed(client, asked, usage, reader.hear)
        except APIStatusError as error:
            if not refuses_streams(error):
                raise
            answer = await in_one_piece(client, asked, usage)
            self._streams = False  # it was the stream indeed; an error may quote the request, whatever it is about
            return answer
        finally:
            reader.end()


def _value_of(answer: Answer, model: str, schema: dict[str, Any]) -> Any:
    """The JSON value of an answer, of the asked shape."""
    if answer.refused or answer.reason == "content_filter":
        raise refused(model)
    if answer.reason == "length":
        raise Unreadable("The answer was cut off at the length limit.")
    try:
        if not answer.content.strip():
            raise Unreadable("The answer was empty.")
        return _checked(answer.content, schema)
    except Unreadable:
        if answer.cut_short:
            raise broken_off("StreamEnded") from None
        raise


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
