"""Whether DANE counts for a domain (RFC 7672, 2.2), by what a resolver has checked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import dns.asyncresolver
import dns.resolver
import pytest

from sts import dane
from sts.dane import Found

MX = {"far.example MX": Found(("10 one.far.example.", "20 two.far.example."), secure=True)}
SIGNED = {f"{host}.far.example. A": Found(("192.0.2.1",), secure=True) for host in ("one", "two")}
NONE, NAMED = Found((), secure=True), Found(("3 1 1 00",), secure=True)
ONE, TWO = (f"_25._tcp.{host}.far.example. TLSA" for host in ("one", "two"))
BOTH = MX | SIGNED
UNSIGNED_MX = {"far.example MX": Found(("10 one.far.example.",), secure=False)}


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (BOTH | {ONE: NAMED, TWO: NAMED}, True),
        (BOTH | {ONE: NONE, TWO: NAMED}, True),
        (BOTH | {ONE: NONE, TWO: NONE}, False),
        (BOTH | {ONE: Found(NAMED.records, secure=False), TWO: NONE}, False),
        # They may be there.
        (BOTH | {ONE: NONE}, True),
        (BOTH | {ONE: NONE, TWO: Found(("1 1 1 00",), secure=True)}, False),
        # Postfix goes to the other one.
        (MX | {"two.far.example. A": SIGNED["two.far.example. A"], TWO: NAMED}, True),
        # Anybody may have said which servers there are, or where the one is.
        (
            BOTH | {"far.example MX": Found(("10 one.far.example.",), secure=False), ONE: NAMED},
            False,
        ),
        (BOTH | {"one.far.example. A": Found((), secure=False), ONE: NAMED, TWO: NONE}, False),
        # A domain may be its own server.
        (
            {
                "far.example MX": NONE,
                "far.example A": NONE,
                "_25._tcp.far.example TLSA": NAMED,
            },
            True,
        ),
        # Postfix will find no server.
        (SIGNED | {ONE: NAMED, TWO: NAMED}, False),
        (MX | {ONE: NAMED, TWO: NAMED}, False),
    ],
)
def test_whether_dane_counts(
    records: Mapping[str, Found], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name without an entry gets no answer that may be believed."""

    async def look_up(_resolver: dns.asyncresolver.Resolver, name: str, kind: str) -> Found:
        try:
            return records[f"{name} {kind}"]
        except KeyError:
            raise dns.resolver.NoNameservers from None

    monkeypatch.setattr(dane, "look_up", look_up)
    assert asyncio.run(dane.has_dane("far.example")) is expected
