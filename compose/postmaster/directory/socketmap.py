"""Postfix's lookups: the socketmap protocol of socketmap_table(5), netstrings over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial

from postmaster.addresses import base, is_plain, normalise, with_extension
from postmaster.directory.people import Directory
from postmaster.directory.roster import Roster
from postmaster.serving import drain

MAX_REQUEST = 4096  # Postfix allows 100,000 for answers; no address is near that long
NOT_FOUND = "NOTFOUND "
# Where Postfix hands over what is forwarded (main.cf, transport_maps); RFC 2606: nobody's domain.
FORWARD = "forward.invalid"

Lookup = Callable[[Directory, str], str | None]


class NetstringError(ValueError):
    """The bytes are no netstring, or one that is too long."""


async def read_netstring(reader: asyncio.StreamReader, limit: int = MAX_REQUEST) -> bytes | None:
    """Return the next netstring's content; None at the end of the stream."""
    digits = b""
    while (byte := await reader.read(1)) != b":":
        if not byte and not digits:
            return None
        if not byte.isdigit() or len(digits) >= 6:
            raise NetstringError("a netstring starts with its length")
        digits += byte
    if not digits or (length := int(digits)) > limit:
        raise NetstringError("a netstring is too long")
    try:
        content = await reader.readexactly(length + 1)
    except asyncio.IncompleteReadError as error:
        raise NetstringError("a netstring ends early") from error
    if content[-1:] != b",":
        raise NetstringError("a netstring ends with a comma")
    return content[:-1]


def netstring(content: bytes) -> bytes:
    """Frame `content`: its length, a colon, itself, a comma."""
    return b"%d:%b," % (len(content), content)


def _domains(directory: Directory, key: str) -> str | None:
    return key if directory.has_domain(key) else None


# Postfix looks up the base of a plus-address by itself only in tables of fixed strings. It takes a
# socketmap for one of patterns, so plus-addresses are answered here.
def _mailboxes(directory: Directory, key: str) -> str | None:
    if _comes_back(directory, key):
        return None
    return key if _is_mailbox(key, directory.resolve(key)) else None


def _aliases(directory: Directory, key: str) -> str | None:
    if _comes_back(directory, key):
        return _forwarded(directory.canary)
    target = directory.resolve(key)
    if target is None:
        return _list(directory, _recipients(directory, key))
    if _is_mailbox(key, target):
        copies = directory.people[target].forward_to if target in directory.people else ()
        # Postfix takes an address that leads to itself as it is.
        return _list(directory, [key, *copies]) if copies else None
    if directory.alias(key) is not None:
        return target
    # Carried over, as Postfix would (propagate_unmatched_extensions).
    return with_extension(target, of=normalise(key))


def _recipients(directory: Directory, key: str) -> tuple[str, ...]:
    reported = directory.rewriter.reverse(key) if directory.rewriter else None
    return (reported,) if reported else directory.recipients(key)


def _list(directory: Directory, addresses: Iterable[str]) -> str | None:
    """Addresses for Postfix. One elsewhere becomes one of FORWARD, by which it is told apart."""
    return ", ".join(map(partial(_marked, directory), addresses)) or None


def _marked(directory: Directory, address: str) -> str:
    domain = address.rpartition("@")[2]
    return address if directory.has_domain(domain) else _forwarded(address)


def _forwarded(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}={domain}@{FORWARD}"


def _comes_back(directory: Directory, key: str) -> bool:
    # Where there are no people there is no mailstore. So that the machine can see whether mail goes
    # round, it forwards to itself, and what has come so far is held.
    return not directory.people and normalise(key) == directory.canary


def _held(directory: Directory, key: str) -> str | None:
    # check_recipient_access of what is forwarded.
    return "HOLD" if not directory.people and key == _forwarded(directory.canary) else None


def _forwards(directory: Directory, key: str) -> str | None:
    # virtual_alias_maps of what is forwarded: where to, in fact.
    local, _, domain = key.rpartition("@")
    name, _, elsewhere = local.rpartition("=")
    found = f"{name}@{elsewhere}"
    # One address and no list, since people may send to such addresses, too, and each is counted.
    if domain != FORWARD or not is_plain(found) or directory.has_domain(elsewhere):
        return None
    return found


def _rewritten(directory: Directory, key: str) -> str | None:
    # sender_canonical_maps of what is forwarded. Of our own people, too: who comes in by port 25
    # may have forged one, and by our SPF record we would vouch for it.
    return directory.rewriter.forward(key) if directory.rewriter else None


def _elsewhere(directory: Directory, key: str) -> str | None:
    # Asked by Rspamd: whether this goes to somebody elsewhere, who has no Junk here. A copy of what
    # stays here does not count.
    found = _recipients(directory, key)
    return "yes" if any(directory.resolve(address) is None for address in found) else None


def _is_mailbox(key: str, target: str | None) -> bool:
    """Say whether `key` is a mailbox or a plus-address of one, going by whose mail it is."""
    name = normalise(key)
    return target is not None and target in (name, base(name))


def _senders(directory: Directory, key: str) -> str | None:
    # smtpd_sender_login_maps: which logins may use this address as their sender.
    return ", ".join(directory.senders(key)) or None


MAPS: Mapping[str, Lookup] = {
    "domains": _domains,
    "mailboxes": _mailboxes,
    "aliases": _aliases,
    "senders": _senders,
    "forwards": _forwards,
    "rewritten": _rewritten,
    "elsewhere": _elsewhere,
    "held": _held,
}


def answer(directory: Directory, request: bytes) -> str:
    """Answer `map key` with `OK value`, `NOTFOUND ` or `PERM reason`."""
    try:
        name, space, key = request.decode().partition(" ")
    except UnicodeDecodeError:
        return NOT_FOUND
    lookup = MAPS.get(name)
    if lookup is None or not space:
        return "PERM there is no such map"
    value = lookup(directory, key)
    return NOT_FOUND if value is None else f"OK {value}"


def socketmap_handler(
    roster: Roster,
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Return the connection handler of a socketmap server for who there is at the time."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_netstring(reader)) is not None:
                writer.write(netstring(answer(roster.current, request).encode()))
                await drain(writer)
        except NetstringError:
            writer.write(netstring(b"PERM malformed request"))
            await drain(writer)

    return handle
