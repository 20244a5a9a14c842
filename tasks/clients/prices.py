"""What calls cost, for models whose price per token is known. Everything else costs ``None``, never a guess."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

#: US dollars per million tokens: (input, output), the vendor's list prices without batch or cache discounts.
#: Source: https://platform.openai.com/docs/pricing
USD_PER_MILLION: dict[str, tuple[float, float]] = {
    "gpt-5.2": (1.75, 14.0),
    "gpt-5.1": (1.25, 10.0),
    "gpt-5": (1.25, 10.0),
    "gpt-5-mini": (0.25, 2.0),
    "gpt-5-nano": (0.05, 0.4),
    "gpt-4.1": (2.0, 8.0),
    "gpt-4.1-mini": (0.4, 1.6),
    "gpt-4.1-nano": (0.1, 0.4),
    "gpt-4o": (2.5, 10.0),
    "gpt-4o-mini": (0.15, 0.6),
}
#: Another host may serve a model of the same name at a price of its own.
_VENDOR_HOST = "api.openai.com"
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}\Z")


def cost_usd(model: str, base_url: str | None, input_tokens: int | None, output_tokens: int | None) -> float | None:
    """The cost of one call in US dollars; none when the model's price or the tokens are unknown, or when ``base_url``
    (none: the vendor's own) leads to somebody else's endpoint.

    A dated snapshot (``gpt-5.2-2025-12-11``) costs what its model costs.
    """
    price = USD_PER_MILLION.get(_SNAPSHOT.sub("", model))
    if price is None or input_tokens is None or output_tokens is None or not _is_the_vendors(base_url):
        return None
    return round((input_tokens * price[0] + output_tokens * price[1]) / 1_000_000, 8)


def _is_the_vendors(base_url: str | None) -> bool:
    try:
        return base_url is None or urlsplit(base_url).hostname == _VENDOR_HOST
    except ValueError:  # no address at all, which the call itself reports
        return False
