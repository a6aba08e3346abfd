"""Changes of a zone, sent to its primary server: RFC 2136, signed by a TSIG key (RFC 8945)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import dns.exception
import dns.query
import dns.rcode
import dns.tsig
import dns.tsigkeyring
import dns.update

from firstboot.base.errors import CheckError
from firstboot.system.dnsclient import Server

SECONDS = 15.0
_CHANGED = {dns.rcode.YXRRSET, dns.rcode.NXRRSET, dns.rcode.YXDOMAIN, dns.rcode.NXDOMAIN}


class UpdateError(CheckError):
    """A server did not take a change; nothing of it was done."""


@dataclass(frozen=True)
class TsigKey:
    """A key that a server and we have; `secret` is in base64."""

    name: str
    algorithm: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class SetChange:
    """A change to the records of a name and type.

    `before` are all that are there now, `after` all that shall be, both as a zone file has them.
    """

    name: str
    type: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    ttl: int


def send_update(server: Server, zone: str, key: TsigKey, changes: Sequence[SetChange]) -> None:
    """Have the server make all changes of a zone, or none.

    None is made either when one of the sets is not as in `before` any more. Raises UpdateError.
    """
    keyring = dns.tsigkeyring.from_text({f"{key.name}.": key.secret})
    update = dns.update.UpdateMessage(f"{zone}.", keyring=keyring, keyalgorithm=f"{key.algorithm}.")
    for change in changes:
        name = f"{change.name}."
        if change.before:
            update.present(name, change.type, *change.before)
        else:
            update.absent(name, change.type)
        for text in change.before:
            if text not in change.after:
                update.delete(name, change.type, text)
        for text in change.after:
            if text not in change.before:
                update.add(name, change.ttl, change.type, text)
    code = _send(update, server)
    if code in _CHANGED:
        raise UpdateError(f"zone {zone} was changed meanwhile, nothing was done", "Try again.")
    if code != dns.rcode.NOERROR:
        raise UpdateError(
            f"{server} answered {dns.rcode.to_text(code)} to a change of zone {zone}",
            "Let it take updates of this zone by this key, from this machine's address.",
        )


def _send(update: dns.update.UpdateMessage, server: Server) -> dns.rcode.Rcode:
    try:
        answer = dns.query.tcp(update, server.address, timeout=SECONDS, port=server.port)
    except (dns.tsig.PeerBadKey, dns.tsig.PeerBadSignature, dns.tsig.BadSignature):
        raise UpdateError(
            f"{server} does not know this TSIG key", "Compare its name, algorithm and secret."
        ) from None
    except (dns.tsig.PeerBadTime, dns.tsig.BadTime):
        raise UpdateError(
            f"{server} has another time than this machine", "Set both clocks: the key needs it."
        ) from None
    except dns.exception.Timeout:
        raise UpdateError(f"{server} did not answer within {SECONDS:g} s") from None
    except OSError as error:
        raise UpdateError(f"{server} could not be asked: {error.strerror or error}") from None
    except (dns.exception.DNSException, EOFError) as error:
        reason = error or type(error).__name__
        raise UpdateError(f"{server} gave an answer that cannot be read: {reason}") from None
    return answer.rcode()
