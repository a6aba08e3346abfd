"""The canary: a person whose password the machine knows, so that it can check its own mail."""

from __future__ import annotations

from firstboot.base.errors import RoundTripError
from firstboot.base.paths import Paths
from firstboot.base.roundtrip import HINT, Account, trusting
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
