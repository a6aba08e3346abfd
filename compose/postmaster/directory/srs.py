"""The Sender Rewriting Scheme: an envelope sender of our own for mail that is forwarded.

Forwarded as it is, a message would come from a machine that the sender's SPF record does not know.
`SRS0=HASH=DAY=DOMAIN=LOCAL@here` is a sender of this machine, and takes reports back to
`LOCAL@DOMAIN` for three weeks. Of a sender that another machine has rewritten already, `SRS1`
keeps that machine: the report goes there. Nobody can make such an address but who has the key,
so that this is no open relay.

Source: "Sender Rewriting Scheme", Meng Weng Wong and Shevek (libsrs2). A hash is of 40 bits in
base32 rather than of 24 in base64, since mail servers may change the case of what they return to.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from postmaster.addresses import is_plain, split

DAY = 86_400
DAYS = 1024  # what two digits of base32 count
MOST_DAYS = 21  # how old a report may be; mail waits in queues for five days
_DIGITS = "abcdefghijklmnopqrstuvwxyz234567"
# Separators after the tag may be = - or +; the rest is ours, or kept as it is.
_SRS0 = re.compile(r"srs0[=+-]([a-z2-7]{8})=([a-z2-7]{2})=([^=]+)=(.+)", re.IGNORECASE)
_SRS1 = re.compile(r"srs1[=+-]([a-z2-7]{8})=([^=]+)=([=+-].+)", re.IGNORECASE)
_OTHERS_SRS0 = re.compile(r"srs0([=+-].+)", re.IGNORECASE)
_OTHERS_SRS1 = re.compile(r"srs1[=+-][^=]+=([^=]+)=([=+-].+)", re.IGNORECASE)


@dataclass(frozen=True)
class Rewriter:
    """`domain`: of the senders that are made; `key` is secret; `clock` gives seconds since 1970."""

    domain: str
    key: bytes = field(repr=False)
    clock: Callable[[], float] = time.time

    def forward(self, sender: str) -> str | None:
        """Return the envelope sender in the place of another.

        None for one that needs quotes, and for one of these: Postfix asks until nothing changes.
        """
        parts = split(sender)
        if parts is None or not is_plain(sender) or self.reverse(sender) is not None:
            return None
        local, domain = parts
        if match := _OTHERS_SRS1.fullmatch(local):
            return self._again(match[1], match[2])
        if match := _OTHERS_SRS0.fullmatch(local):
            return self._again(domain, match[1])
        day = self._day()
        return f"SRS0={self._hash(day, domain, local)}={day}={domain}={local}@{self.domain}"

    def reverse(self, address: str) -> str | None:
        """Return whom a report to `address` is for; None when it is not one that we made."""
        parts = split(address)
        if parts is None or parts[1].lower() != self.domain or not is_plain(address):
            return None
        if match := _SRS0.fullmatch(parts[0]):
            given, day, domain, local = match.groups()
            if self._right(given, day, domain, local) and self._is_young(day):
                return f"{local}@{domain}"
        elif match := _SRS1.fullmatch(parts[0]):
            given, domain, rest = match.groups()
            if self._right(given, domain, rest):
                return f"SRS0{rest}@{domain}"
        return None

    def _again(self, domain: str, rest: str) -> str:
        return f"SRS1={self._hash(domain, rest)}={domain}={rest}@{self.domain}"

    def _hash(self, *parts: str) -> str:
        text = "\0".join(parts).lower().encode("utf-8", "surrogateescape")
        found = hmac.new(self.key, text, hashlib.sha256).digest()[:5]
        return base64.b32encode(found).decode().lower()

    def _right(self, given: str, *parts: str) -> bool:
        return hmac.compare_digest(given.lower(), self._hash(*parts))

    def _day(self) -> str:
        number = int(self.clock() // DAY) % DAYS
        return _DIGITS[number // 32] + _DIGITS[number % 32]

    def _is_young(self, day: str) -> bool:
        number = _DIGITS.index(day[0].lower()) * 32 + _DIGITS.index(day[1].lower())
        return (int(self.clock() // DAY) - number) % DAYS <= MOST_DAYS
