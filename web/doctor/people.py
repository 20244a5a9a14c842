"""The doctor's look at how users are known."""

from __future__ import annotations

from tasks.deps import Deps
from web.doctor.finding import Finding, fault, ok
from web.identity.key_set import KeySet, NoKeys


def user_tokens(deps: Deps) -> Finding:
    """Whether the keys that verify users' tokens can be had."""
    settings = deps.settings.identity.users
    if settings is None:
        return ok("user tokens", "Not accepted: neither JWT_SECRET nor JWT_JWKS_URL is set.")
    if settings.jwks_url is None:
        older = f", and {len(settings.secrets) - 1} before it" if len(settings.secrets) > 1 else ""
        return ok("user tokens", f"Verified by JWT_SECRET{older}.")
    try:
        keys = KeySet(settings.jwks_url, deps.settings.home / "run" / "signing-keys.json").fetched()
    except NoKeys as error:
        words = f"The keys at JWT_JWKS_URL can't be had: {error}"
        return fault("user tokens", words, "Check the address, and that this machine may reach it.")
    algorithms = ", ".join(sorted({key.algorithm for key in keys.values()}))
    return ok("user tokens", f"Verified by {len(keys)} of the provider's keys ({algorithms}).")
