"""One question to one DNS server: over UDP, over TCP when the answer did not fit.

Whoever answers is not trusted with more than its answer: one for another question, or from another
address, is not listened to (dnspython sees to that).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.ttl

from firstboot.base.errors import CheckError

TRIES = 2
TRY_SECONDS = 2.5
# What passes everywhere unfragmented (RFC 9715, 3.1).
PAYLOAD = 1232


class NoAnswerError(CheckError):
    """A server did not give a usable answer; the message says which one and why."""


class SilentError(NoAnswerError):
    """It said nothing at all, or could not be asked."""


@dataclass(frozen=True)
class Server:
    """Where to ask. `name` is how people know it, "" when it has none."""

    address: str
    name: str = ""
    port: int = 53

    def __str__(self) -> str:
        return f"{self.name} ({self.address})" if self.name else self.address


@dataclass(frozen=True)
class Referral:
    """A delegation to somebody else: the zone, its name servers, and addresses of some of them."""

    zone: str
    servers: tuple[str, ...]
    glue: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Answer:
    """What a server said. Names are in lower case and have no dot at their end.

    `values` are the records of the type that was asked for, in presentation form (RFC 1035, 5.1)
    except for TXT: the text itself; `raw` are the same as a zone file has them. `alias` is where a
    CNAME leads, "" without one; `validated` says that a resolver has checked DNSSEC; `ttl` is in
    seconds.
    """

    values: tuple[str, ...]
    exists: bool
    ttl: int
    authoritative: bool
    validated: bool
    alias: str
    referral: Referral | None
    raw: tuple[str, ...] = ()


def ask(
    server: Server,
    name: str,
    kind: str,
    *,
    recursive: bool,
    timeout: float = TRY_SECONDS,
    tries: int = TRIES,
) -> Answer:
    """Ask a server for records of a type; that there are none is an answer, too.

    `timeout` is in seconds for each try. Raises SilentError when the server does not answer, and
    NoAnswerError when it answers with an error such as SERVFAIL or REFUSED.
    """
    try:
        query = dns.message.make_query(name, kind, use_edns=0, payload=PAYLOAD)
    except dns.exception.DNSException as error:
        raise NoAnswerError(f"{name} cannot be asked for: {error}") from None
    query.flags &= ~dns.flags.RD
    if recursive:
        # AD asks to be told whether DNSSEC was checked, without the signatures (RFC 6840, 5.7).
        query.flags |= dns.flags.RD | dns.flags.AD
    response = _exchange(query, server, f"{name} {kind}", timeout, tries)
    code = response.rcode()
    if code not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        raise NoAnswerError(f"{server} answered {dns.rcode.to_text(code)}{_explained(response)}")
    try:
        return _answer(response, dns.rdatatype.from_text(kind))
    except dns.exception.DNSException as error:
        raise NoAnswerError(f"{server} gave an answer that makes no sense: {error}") from None


def _exchange(
    query: dns.message.Message, server: Server, what: str, timeout: float, tries: int
) -> dns.message.Message:
    reason, error_type = "did not answer", NoAnswerError
    started = time.monotonic()
    for _ in range(tries):
        try:
            response, _tcp = dns.query.udp_with_fallback(
                query,
                server.address,
                timeout=timeout,
                port=server.port,
                ignore_unexpected=True,
                ignore_errors=True,
            )
            return response
        except dns.exception.Timeout:
            error_type = SilentError
            seconds = time.monotonic() - started
            reason = f"did not answer for {what} within {seconds:.1f} s"
        except OSError as error:
            error_type = SilentError
            reason = f"could not be asked: {error.strerror or error}"
        except (dns.exception.DNSException, EOFError) as error:
            error_type = NoAnswerError
            reason = f"gave an answer that cannot be read: {error or type(error).__name__}"
    raise error_type(f"{server} {reason}")


def _answer(response: dns.message.Message, kind: dns.rdatatype.RdataType) -> Answer:
    assert isinstance(response, dns.message.QueryMessage), "it answers a query"
    question = response.question[0].name
    chain = response.resolve_chaining()
    found = chain.answer
    alias = chain.canonical_name
    return Answer(
        values=tuple(value(rdata) for rdata in found) if found is not None else (),
        exists=response.rcode() == dns.rcode.NOERROR,
        # Without records the SOA record says how long that is remembered (RFC 2308, 5).
        ttl=chain.minimum_ttl if chain.minimum_ttl < dns.ttl.MAX_TTL else 0,
        authoritative=bool(response.flags & dns.flags.AA),
        validated=bool(response.flags & dns.flags.AD),
        alias=plain(alias) if alias != question and kind != dns.rdatatype.CNAME else "",
        referral=None if response.answer else _referral(response),
        raw=tuple(rdata.to_text() for rdata in found) if found is not None else (),
    )


def _referral(response: dns.message.Message) -> Referral | None:
    """The delegation in the authority section: name servers without being an answer."""
    for rrset in response.authority:
        if rrset.rdtype == dns.rdatatype.NS and not response.flags & dns.flags.AA:
            names = tuple(plain(rdata.target) for rdata in rrset)
            glue = tuple(
                (plain(extra.name), rdata.address)
                for extra in response.additional
                if extra.rdtype in {dns.rdatatype.A, dns.rdatatype.AAAA}
                for rdata in extra
            )
            return Referral(plain(rrset.name), names, glue)
    return None


def value(rdata: dns.rdata.Rdata) -> str:
    """A record's content as in `Answer.values`."""
    if rdata.rdtype == dns.rdatatype.TXT:
        return b"".join(rdata.strings).decode("utf-8", errors="replace")  # type: ignore[attr-defined]
    words = rdata.to_text(origin=None).split(" ")
    if rdata.rdtype in {dns.rdatatype.MX, dns.rdatatype.SRV, dns.rdatatype.NS}:
        words[-1] = _bare(words[-1])
    elif rdata.rdtype in {dns.rdatatype.PTR, dns.rdatatype.CNAME}:
        words = [_bare(words[0])]
    return " ".join(words)


def plain(name: dns.name.Name) -> str:
    """A name in lower case without the dot at its end; the root is `.`."""
    return _bare(name.to_text())


def _bare(text: str) -> str:
    return text.lower().rstrip(".") or "."


def _explained(response: dns.message.Message) -> str:
    """What the server says about the reason (extended DNS errors, RFC 8914)."""
    found = [option for option in response.options if isinstance(option, dns.edns.EDEOption)]
    texts = [option.text for option in found if option.text]
    codes = [dns.edns.EDECode(option.code).name.replace("_", " ").lower() for option in found]
    shown = "; ".join(texts or codes)
    return f" ({shown[:200]})" if shown.isprintable() and shown else ""
