"""A text client before the scripted model, with its records at hand: for tests of the clients themselves."""

from __future__ import annotations

from typing import Any

from schema.settings import ModelSettings
from tasks.clients import loop
from tasks.clients.record import CallRecord
from tasks.clients.text import Ask, TextClient
from tests.fakes.model_server import ModelServer
from tests.fakes.open_gate import OpenGate

KEY = "sk-our-own-secret"
SHAPE = {
    "type": "object",
    "properties": {"word": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["word", "count"],
    "additionalProperties": False,
}
ASK = Ask("words", "words", "words/1", "You answer.", "Say the secret phrase swordfish.", "words", SHAPE)


def settings_for(url: str | None, **changed: Any) -> ModelSettings:
    given: dict[str, Any] = {
        "api_key": KEY,
        "base_url": url,
        "text_model": "gpt-5.2",
        "image_model": "gpt-image-2",
        "timeout_seconds": 10.0,
        "concurrency": 16,
    }
    return ModelSettings(**{**given, **changed})


class Asked:
    """A text client with its records at hand. With ``reads``, somebody reads along, so answers are streamed."""

    def __init__(self, model: ModelServer, reads: bool = False, **changed: Any) -> None:
        self.records: list[CallRecord] = []
        self.read: list[str] = []
        self.say = self.read.append if reads else None
        self.client = TextClient(settings_for(model.url, **changed), self.records.append, OpenGate())

    def once(self, ask: Ask = ASK) -> Any:
        return loop.run(self.client.complete(ask, self.say))

    @property
    def outcomes(self) -> list[tuple[str, str | None]]:
        return [(record.outcome, record.error_code) for record in self.records]
