"""Tokens of the API: what lets another program in, for some scopes, until it is revoked.

Only hashes are kept. A token is 256 random bits, so that a hash without salt or work is enough.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from firstboot.administration.protocol import SCOPES, ForbiddenError, Scope
from firstboot.administration.sessions import denied, place_of
from firstboot.base.audit import noted
from firstboot.base.change import alone
from firstboot.base.errors import MailsteadError
from firstboot.base.files import write_atomic
from firstboot.base.paths import Paths
from firstboot.system.administrator import check_from

FORMAT = 1
MOST_TOKENS = 50
MOST_LABEL = 60  # characters
# For programs that look for secrets where none belong.
PREFIX = "mailstead_"
# A last use is written down so often at most: each is a write to the disk.
_LAST_USE = datetime.timedelta(minutes=5)


class TokenError(MailsteadError):
    """A token cannot be made as was asked for, or tokens cannot be read."""

    exit_code = 19


class NoTokenError(TokenError):
    """There is no such token."""


@dataclass(frozen=True)
class Token:
    """One that was made; `hash` is SHA-256 in hexadecimal. Times are RFC 3339, UTC.

    `last_use` is right to five minutes.
    """

    id: str
    label: str
    scopes: tuple[Scope, ...]
    hash: str
    made: str
    last_use: str | None = None


@dataclass(frozen=True)
class NewToken:
    """One that was just made, with what is not kept."""

    id: str
    token: str


@dataclass(frozen=True)
class Tokens:
    """All of them. `now` is CLOCK_MONOTONIC. Methods raise TokenError."""

    paths: Paths
    now: Callable[[], float] = time.monotonic

    def all(self) -> tuple[Token, ...]:
        """In the order in which they were made."""
        try:
            data = json.loads(self.paths.api_tokens.read_bytes())
            if data["format"] != FORMAT:
                raise ValueError
            return tuple(Token(**{**one, "scopes": tuple(one["scopes"])}) for one in data["tokens"])
        except FileNotFoundError:
            return ()
        except (ValueError, KeyError, TypeError):
            raise TokenError(f"{self.paths.api_tokens} is not as this release writes it") from None

    def add(self, label: str, scopes: Sequence[str], who: str) -> NewToken:
        """Make one, which is shown this once."""
        label = label.strip()
        if not 0 < len(label) <= MOST_LABEL or not label.isprintable():
            raise TokenError(f"a label has 1 to {MOST_LABEL} characters that can be printed")
        wanted = tuple(scope for scope in SCOPES if scope in scopes)
        if not wanted or set(scopes) - set(SCOPES):
            raise TokenError(f"scopes are one or more of {', '.join(SCOPES)}")
        made = NewToken(secrets.token_hex(4), PREFIX + secrets.token_urlsafe(32))
        with (
            noted(self.paths, "tokens.add", f"{label} ({', '.join(wanted)})", who),
            alone(self.paths.api_tokens_lock),
        ):
            known = self.all()
            if len(known) >= MOST_TOKENS:
                raise TokenError(f"there are {MOST_TOKENS} tokens already", "Revoke some first.")
            self._write((*known, Token(made.id, label, wanted, _hash(made.token), _time())))
        return made

    def revoke(self, token_id: str, who: str) -> Token:
        """End one; returns what it was."""
        with alone(self.paths.api_tokens_lock):
            known = self.all()
            found = next((one for one in known if one.id == token_id), None)
            if found is None:
                raise NoTokenError("there is no token with this id", "`mailstead token list`")
            with noted(self.paths, "tokens.revoke", found.label, who):
                self._write(tuple(one for one in known if one is not found))
        return found

    def use(self, token: str, address: str, scope: Scope | None) -> str:
        """Return the label of a token that is for `scope`, of a program at an IP address.

        Wrong ones are counted as wrong passwords are, but never keep a right one out: there is
        nothing to guess. Raises DeniedError, ForbiddenError, InvalidError.
        """
        place, wanted = place_of(address), _hash(token)
        with alone(self.paths.api_tokens_lock):
            known = self.all()
            found = next((one for one in known if secrets.compare_digest(one.hash, wanted)), None)
            if found is not None and _is_old(found.last_use):
                used = replace(found, last_use=_time())
                self._write(tuple(used if one is found else one for one in known))
        if found is None:
            verdict = check_from(lambda: False, self.paths.api_tries, place, self.now)
            raise denied("this is no token of this machine", verdict)
        if scope is None or scope not in found.scopes:
            raise ForbiddenError(
                f"the token {found.label} is not for the scope {scope}"
                if scope
                else "this is not for programs",
                f"It is for: {', '.join(found.scopes)}.",
            )
        return found.label

    def _write(self, tokens: Sequence[Token]) -> None:
        data = {"format": FORMAT, "tokens": [asdict(one) for one in tokens]}
        text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
        write_atomic(self.paths.api_tokens, text, mode=0o600)


def _is_old(last_use: str | None) -> bool:
    if last_use is None:
        return True
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(last_use)
    # A clock that was set back makes the future.
    return not datetime.timedelta(0) <= age < _LAST_USE


def _time() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
