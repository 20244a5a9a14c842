"""Asking an image model for one picture."""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

from schema.settings import ModelSettings
from tasks.clients.connection import one_call
from tasks.clients.gate import Gate, estimated_tokens
from tasks.clients.record import Recorder
from tasks.clients.translate import Unreadable

#: Landscape, as pictures stand between paragraphs; both sides are multiples of 16.
SIZE = "1536x1024"
#: Limits of what is taken: encoded bytes, pixels, and the longer side of what is kept.
MAX_BYTES = 32 * 1024 * 1024
MAX_PIXELS = 4096 * 4096
MAX_SIDE = 1536
_FORMATS = ("PNG", "JPEG", "WEBP")
#: The vendor's own models always send the picture itself and refuse to be told so; others send a link unless told.
_SENDS_PICTURES = ("gpt-image", "chatgpt-image")


@dataclass(frozen=True)
class Picture:
    """A PNG without metadata; sides in pixels."""

    png: bytes
    width: int
    height: int


class ImageClient:
    """``images.generate`` of any compatible endpoint."""

    def __init__(self, settings: ModelSettings, record: Recorder, gate: Gate) -> None:
        self._settings = settings
        self._record = record
        self._gate = gate

    async def make(self, prompt: str, chosen: str | None = None) -> Picture:
        """One picture of what ``prompt`` says, by the model ``chosen``; none is the usual one.

        Raises ``ModelNotConfigured``, ``Permanent`` or ``Transient`` with the codes of ``translate.translated``.
        """
        model = chosen or self._settings.image_model
        told: dict[str, Any] = {} if model.startswith(_SENDS_PICTURES) else {"response_format": "b64_json"}
        async with one_call(
            self._settings,
            self._record,
            self._gate,
            purpose="picture",
            prompt_version="",
            model=model,
            tokens=estimated_tokens(prompt),
        ) as (client, usage):
            answer: Any = await client.images.generate(model=model, prompt=prompt, size=SIZE, n=1, **told)
            spent = getattr(answer, "usage", None)
            usage.input_tokens = getattr(spent, "input_tokens", None)
            usage.output_tokens = getattr(spent, "output_tokens", None)
            return await asyncio.to_thread(clean_picture, _bytes(answer))


def _bytes(answer: Any) -> bytes:
    pictures = getattr(answer, "data", None)
    first = pictures[0] if isinstance(pictures, list) and pictures else None
    encoded = getattr(first, "b64_json", None)
    if not isinstance(encoded, str) or not encoded:
        raise Unreadable("The model endpoint's answer holds no picture (b64_json).")
    if len(encoded) > MAX_BYTES * 4 / 3 + 4:
        raise Unreadable(f"The model endpoint's picture is larger than {MAX_BYTES} bytes.")
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise Unreadable("The model endpoint's picture is not base64.") from None


def clean_picture(raw: bytes) -> Picture:
    """The picture in ``raw`` (PNG, JPEG or WebP), upright, at most ``MAX_SIDE`` pixels wide and high, as a PNG with
    nothing but pixels. Raises ``Transient`` (``model_answer_unreadable``) when ``raw`` is no such picture."""
    try:
        with Image.open(io.BytesIO(raw), formats=_FORMATS) as found:
            if found.width * found.height > MAX_PIXELS:
                raise Unreadable(f"The model endpoint's picture has more than {MAX_PIXELS} pixels.")
            upright = ImageOps.exif_transpose(found)
            pixels = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise Unreadable("The model endpoint's picture can't be read.") from None
    pixels.thumbnail((MAX_SIDE, MAX_SIDE))
    bare = Image.new(pixels.mode, pixels.size)
    bare.paste(pixels)
    kept = io.BytesIO()
    bare.save(kept, "PNG", optimize=False)
    return Picture(kept.getvalue(), bare.width, bare.height)
