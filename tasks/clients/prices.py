"""What calls cost, for models whose price per token is known. An unknown model costs ``None``, never a guess."""

from __future__ import annotations

import re

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
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}\Z")


def cost_usd(model: str, input_tokens: int | None, output_tokens: int | None) -> float | None:
    """The cost of one call in US dollars; none when the model's price or the tokens are unknown.

    A dated snapshot (``gpt-5.2-2025-12-11``) costs what its model costs.
    """
    price = USD_PER_MILLION.get(_SNAPSHOT.sub("", model))
    if price is None or input_tokens is None or output_tokens is None:
        return None
    return round((input_tokens * price[0] + output_tokens * price[1]) / 1_000_000, 8)
