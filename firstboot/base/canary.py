"""The canary: a person whose password the machine knows, so that it can check its own mail.

Where nobody has a mailbox it has none either: what it sends itself is forwarded and comes back.
"""

from __future__ import annotations

from collections.abc import Callable

from firstboot.base.engine import Engine
from firstboot.base.errors import RoundTripError
from firstboot.base.forwardtrip import forwarded_round_trip
from firstboot.base.paths import Paths
from firstboot.base.roundtrip import (
    DELIVERY_SECONDS,
    HINT,
    Account,
    RoundTrip,
    round_trip,
    trusting,
)
from firstboot.base.services import Stack
from firstboot.base.settings import Settings


def canary_account(paths: Paths, settings: Settings, stack: Stack) -> Account:
    """The canary's account; raises RoundTripError when its secrets cannot be read."""
    secret = paths.state / "secrets" / "canary_password"
    try:
        password = secret.read_text(encoding="ascii").strip()
        context = trusting(paths.certificate)
    except (OSError, ValueError) as error:
        raise RoundTripError(f"the canary's secrets cannot be read: {error}", HINT) from None
    return Account(
        hostname=settings.hostname,
        address=settings.canary,
        password=password,
        submission=stack.port("submission").published,
        imaps=stack.port("imaps").published,
        context=context,
    )


def canary_round_trip(
    paths: Paths,
    settings: Settings,
    stack: Stack,
    engine: Engine,
    *,
    timeout: float = DELIVERY_SECONDS,
    meanwhile: Callable[[], None] = lambda: None,
) -> RoundTrip:
    """Send one message as far round as the machine's mail goes. Raises as the two do."""
    account = canary_account(paths, settings, stack)
    if settings.people:
        return round_trip(account, timeout=timeout, meanwhile=meanwhile)
    return forwarded_round_trip(account, engine, timeout=timeout, meanwhile=meanwhile)
