"""Who hands generated mail over: servers as good and as bad as they are.

Names of domains are made up, and asked of the benchmark's own name server only.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# From where all messages come (RFC 2544), so that SPF can name it, or others.
CLIENTS = "198.18.0.0/15"
_OURS, _OTHERS = f"v=spf1 ip4:{CLIENTS} -all", "v=spf1 ip4:192.0.2.0/24"
_SYLLABLES = (
    "ba",
    "den",
    "fa",
    "gol",
    "ki",
    "lor",
    "mi",
    "nu",
    "pe",
    "rus",
    "sta",
    "ti",
    "vor",
    "we",
)


@dataclass(frozen=True)
class Sender:
    """Author and envelope of a message and the server that brings it; see `Sample`.

    `domain` is where its links lead. A list has an address of its own.
    """

    author: tuple[str, str]
    envelope: str
    helo: str
    name: str
    domain: str
    records: tuple[str, ...] = ()
    signer: str = ""
    list_address: str = ""


def provider(dice: random.Random, name: str, _receiver: str) -> Sender:
    """Somebody at a large provider: everything is in order."""
    domain = dice.choice(("brieftaubenpost.de", "lettrerapide.fr", "mailmeadow.com"))
    server = f"mout{dice.randint(1, 9)}.{domain}"
    return _aligned(name, f"{_local(name)}{dice.randint(1, 99)}@{domain}", server)


def small(dice: random.Random, name: str, _receiver: str) -> Sender:
    """A server as people keep it at home: SPF and no more."""
    domain = _domain(dice, "de")
    address, server = f"{_local(name)}@{domain}", f"mail.{domain}"
    return Sender((name, address), address, server, server, domain, _spf(domain))


def service(dice: random.Random, name: str, _receiver: str) -> Sender:
    """A machine that tells somebody something."""
    domain = _domain(dice, "io")
    return _aligned(f"{name} via {domain}", f"no-reply@{domain}", f"out.{domain}")


def bulk(dice: random.Random, _name: str, _receiver: str) -> Sender:
    """A shop or a paper, by a service that sends for many, in their names."""
    domain = _domain(dice, "com")
    carrier = "sendbarrow.net"
    server = f"o{dice.randint(1, 999)}.{carrier}"
    return Sender(
        (domain.partition(".")[0].title(), f"news@{domain}"),
        f"bounce-{dice.getrandbits(40):x}@{carrier}",
        server,
        server,
        domain,
        (*_spf(carrier), *_policy(domain, "quarantine")),
        domain,
    )


def mailing_list(dice: random.Random, name: str, _receiver: str) -> Sender:
    """A list, whose members have no strict policy."""
    home = "lists.gartenverein-sued.org"
    return Sender(
        (name, f"{_local(name)}@{_domain(dice, 'org')}"),
        f"talk-bounces@{home}",
        home,
        home,
        home,
        _spf(home),
        list_address=f"talk@{home}",
    )


def hacked(dice: random.Random, name: str, _receiver: str) -> Sender:
    """The mail server of a firm, with a password that somebody stole."""
    domain = _domain(dice, "com")
    address, server = f"info@{domain}", f"mail.{domain}"
    return Sender((name, address), address, server, server, domain, _spf(domain))


def bot(dice: random.Random, name: str, _receiver: str) -> Sender:
    """A computer at somebody's home, in whoever's name."""
    domain = _domain(dice, "com")
    address = f"{_local(name)}{dice.randint(1, 999)}@{domain}"
    records = (f'{domain} TXT "{_OTHERS} ~all"',)
    links = _domain(dice, "top")
    return Sender((name, address), address, *_at_home(dice), links, records)


def forged(dice: random.Random, _name: str, _receiver: str) -> Sender:
    """In the name of a bank that asks to refuse this."""
    domain = dice.choice(("bankhaus-lindner.de", "credit-du-lac.fr", "parcelswift.com"))
    address = f"security@{domain}"
    records = (f'{domain} TXT "{_OTHERS} -all"', *_policy(domain, "reject"))
    server = f"vps{dice.randint(1000, 9999)}.cloudpaddock.net"
    links = _domain(dice, "xyz")
    return Sender(("Customer Service", address), address, server, server, links, records)


def yourself(dice: random.Random, _name: str, receiver: str) -> Sender:
    """In the name of who gets it, with the policy that `mailstead dns` advises."""
    domain = receiver.partition("@")[2]
    records = (f'{domain} TXT "{_OTHERS} -all"', *_policy(domain, "reject"))
    return Sender(("", receiver), receiver, *_at_home(dice), domain, records)


def rented(dice: random.Random, _name: str, _receiver: str) -> Sender:
    """A domain of last week that does all as it should."""
    domain = _domain(dice, "click")
    return _aligned("Rewards", f"offers@{domain}", f"mx{dice.randint(1, 30)}.{domain}")


SENDERS: Mapping[str, Callable[[random.Random, str, str], Sender]] = {
    "provider": provider,
    "small": small,
    "service": service,
    "bulk": bulk,
    "list": mailing_list,
    "hacked": hacked,
    "bot": bot,
    "forged": forged,
    "yourself": yourself,
    "rented": rented,
}


def _aligned(name: str, address: str, server: str) -> Sender:
    domain = address.partition("@")[2]
    records = (*_spf(domain), *_policy(domain, "quarantine"))
    return Sender((name, address), address, server, server, domain, records, domain)


def _at_home(dice: random.Random) -> tuple[str, str]:
    """How it greets, and the name of its address: some have none."""
    numbers = "-".join(str(dice.randint(1, 254)) for _ in range(4))
    return dice.choice(("friend", "WIN-PC", "localhost")), dice.choice(
        ("", f"{numbers}.dynamic.tramtel.net", f"dsl-{numbers}.pool.kabelnetz.de")
    )


def _domain(dice: random.Random, top: str) -> str:
    return f"{''.join(dice.choices(_SYLLABLES, k=4))}.{top}"


def _local(name: str) -> str:
    letters = name.lower().encode("ascii", "ignore").decode()
    return letters.replace(" ", ".").strip(".")


def _spf(domain: str) -> tuple[str, ...]:
    return (f'{domain} TXT "{_OURS}"', f"{domain} MX 10 {domain}.", f"{domain} A 198.18.0.1")


def _policy(domain: str, policy: str) -> tuple[str, ...]:
    return (f'_dmarc.{domain} TXT "v=DMARC1; p={policy}"',)
