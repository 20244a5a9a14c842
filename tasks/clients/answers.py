"""What a text model answers, in one piece or as a stream, brought into one form.

Servers differ: one streams and tells its tokens last, one tells none, one doesn't care for ``stream`` and answers at
once, and the library checks nothing of what comes. So nothing is taken for granted here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from schema.errors import Transient
from schema.reading import LARGEST
from tasks.clients.record import Usage
from tasks.clients.translate import Unreadable

if TYPE_CHECKING:
    from openai import AsyncOpenAI


@dataclass
class Answer:
    """``reason`` is why it ended, none when nobody said so. ``cut_short``: a stream ended without saying why, so the
    connection may have broken."""

    pieces: list[str] = field(default_factory=list)
    reason: str | None = None
    refused: bool = False
    cut_short: bool = False
    length: int = 0

    @property
    def content(self) -> str:
        """The whole text. A character that was cut into halves between two pieces, as servers written in JavaScript do
        it, is put together; a half alone becomes the sign for an unreadable one."""
        return "".join(self.pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def add(self, piece: str) -> None:
        """The answer goes on. Raises ``Unreadable`` when it is longer than any answer that is read."""
        self.length += len(piece)
        if self.length > LARGEST:
            raise Unreadable("The answer went on and on.")
        self.pieces.append(piece)


async def in_one_piece(client: AsyncOpenAI, asked: dict[str, Any], usage: Usage) -> Answer:
    """Ask, and wait for the whole answer."""
    answer: Any = await client.chat.completions.create(**asked)
    if isinstance(answer, str):  # the library's way with a 200 that isn't JSON
        raise _page()
    return _whole(answer, usage)


async def streamed(client: AsyncOpenAI, asked: dict[str, Any], usage: Usage, hear: Callable[[str], None]) -> Answer:
    """Ask, and let ``hear`` have each piece of the answer as it comes. Giving up closes the connection at once."""
    create = client.chat.completions.with_streaming_response.create
    async with create(**asked, stream=True, stream_options={"include_usage": True}) as response:
        kind = response.headers.get("content-type", "").lower()
        if "json" in kind:
            return _at_once(json.loads(await response.read()), usage, hear)
        if "html" in kind:
            raise _page()
        answer = Answer(cut_short=True)
        async for chunk in await response.parse():
            _take(chunk, answer, usage, hear)
        return answer


def _at_once(body: Any, usage: Usage, hear: Callable[[str], None]) -> Answer:
    """From a server that doesn't stream, though it was asked to."""
    from openai.types.chat import ChatCompletion  # noqa: PLC0415 - takes 0.6 s

    answer = _whole(ChatCompletion.construct(**body) if isinstance(body, dict) else None, usage)
    hear(answer.content)
    return answer


def _whole(answer: Any, usage: Usage) -> Answer:
    _note_usage(answer, usage)
    choice = _first(answer)
    message = getattr(choice, "message", None)
    content = getattr(message, "content", None)
    return Answer(
        pieces=[content] if isinstance(content, str) else [],
        reason=getattr(choice, "finish_reason", None),
        refused=bool(getattr(message, "refusal", None)),
    )


def _take(chunk: Any, answer: Answer, usage: Usage, hear: Callable[[str], None]) -> None:
    _note_usage(chunk, usage)  # in a chunk of its own without choices, or with the last one
    choice = _first(chunk)
    delta = getattr(choice, "delta", None)
    content = getattr(delta, "content", None)
    if isinstance(content, str) and content:
        answer.add(content)
        hear(content)
    if getattr(delta, "refusal", None):
        answer.refused = True
    if reason := getattr(choice, "finish_reason", None):
        answer.reason, answer.cut_short = reason, False


def _first(answer: Any) -> Any:
    choices = getattr(answer, "choices", None)
    return choices[0] if isinstance(choices, list) and choices else None


def _note_usage(answer: Any, usage: Usage) -> None:
    told = getattr(answer, "usage", None)
    for ours, theirs in (("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens")):
        count = getattr(told, theirs, None)
        if isinstance(count, int) and count >= 0:
            setattr(usage, ours, count)


def _page() -> Transient:
    """A login page for instance. Asking again at once would bring the same."""
    words = "The model endpoint answered with a page instead of JSON. Check OPENAI_BASE_URL."
    return Transient(words, code=Unreadable.code)
