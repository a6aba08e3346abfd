"""Checks of the network as the machine sees it: nobody outside is asked by name."""

from __future__ import annotations

import secrets

from firstboot.base.dnsrules import is_public
from firstboot.base.errors import DeadlineError
from firstboot.base.waiting import wait_for
from firstboot.checks.machine import Bare
from firstboot.checks.result import Result, State
from firstboot.checks.targets import PARENT_OF_NOBODY
from firstboot.system.dnsclient import NoAnswerError, Server, ask
from firstboot.system.iproute import Gateway, answers, default_gateways, look_for
from firstboot.system.links import read_links
from firstboot.system.smtp import connects

NEIGHBOUR_SECONDS = 4.0
MOST_RESOLVERS = 3


def check_link(_machine: Bare) -> Result:
    """A cable, or what the hypervisor has in its place, is plugged in."""
    links = read_links()
    up = [link.name for link in links if link.carrier]
    if up:
        return Result("link", "pass", f"up: {' '.join(up)}")
    names = " ".join(link.name for link in links)
    measured = f"none is up of: {names}" if names else "there is no network interface"
    why = "Without a network there is no mail."
    return Result("link", "fail", measured, why, "Plug in a cable, or look at the virtual machine.")


def check_addresses(machine: Bare) -> Result:
    """The machine has addresses and a route to the Internet; IPv4 is what most mail goes by."""
    found = machine.around.outgoing()
    shown = ", ".join(map(str, found))
    versions = {address.version for address in found}
    why = "Most servers can only be reached by IPv4."
    if not found:
        advice = "Look at the router or its DHCP, or at network in the settings."
        return Result("addresses", "fail", "no address with a route to the Internet", why, advice)
    if 4 not in versions:
        advice = "Ask the provider for an IPv4 address."
        return Result("addresses", "warn", f"{shown}; no IPv4", why, advice)
    return Result("addresses", "pass", shown if 6 in versions else f"{shown}; no IPv6")


def check_gateway(_machine: Bare) -> Result:
    """The router that the way out leads through is there."""
    gateways = default_gateways()
    why = "Everything outside is reached through it."
    advice = "Look at the router and the cable; with method: static, at network.gateways."
    if not gateways:
        return Result("gateway", "fail", "no default route", why, advice)
    silent = [gateway for gateway in gateways if not _is_there(gateway)]
    shown = ", ".join(_named(gateway) for gateway in silent or gateways)
    if not silent:
        return Result("gateway", "pass", f"{shown} answers")
    state: State = "fail" if len(silent) == len(gateways) else "warn"
    return Result("gateway", state, f"{shown} does not answer", why, advice)


def _is_there(gateway: Gateway) -> bool:
    look_for(gateway)
    try:
        return wait_for(
            lambda: answers(gateway), what="a neighbour", timeout=NEIGHBOUR_SECONDS, interval=0.2
        )
    except DeadlineError:
        return False


def _named(gateway: Gateway) -> str:
    return f"{gateway.address or 'a direct link'} ({gateway.interface})"


def check_resolver(machine: Bare) -> Result:
    """The resolvers answer, and say so when there is no such name."""
    servers = machine.around.resolvers()[:MOST_RESOLVERS]
    why = "Where mail goes to, and whether it is forged, is looked up in the DNS."
    if not servers:
        advice = "Look at the router's DHCP, or set network.dns in the settings."
        return Result("resolver", "fail", "none is known", why, advice)
    silent, lying, checked = [], [], []
    for server in servers:
        try:
            root = ask(server, ".", "NS", recursive=True)
            if not root.values:
                raise NoAnswerError(f"{server} does not know the root of the DNS")
            if _makes_up(server):
                lying.append(server)
            elif root.validated:
                checked.append(server)
        except NoAnswerError as error:
            silent.append(error.message)
    shown = ", ".join(map(str, servers))
    advice = "Set network.dns in the settings to resolvers that do better."
    if len(silent) == len(servers):
        return Result("resolver", "fail", "; ".join(silent), why, advice)
    if lying:
        measured = f"{', '.join(map(str, lying))} makes up addresses for names that do not exist"
        return Result("resolver", "fail", measured, why, advice)
    if silent:
        return Result("resolver", "warn", "; ".join(silent), why, advice)
    dnssec = "checks DNSSEC" if len(checked) == len(servers) else "does not check DNSSEC"
    return Result("resolver", "pass", f"{shown} answers and {dnssec}")


def _makes_up(server: Server) -> bool:
    """Whether a name that nobody has got leads somewhere; NoAnswerError as `ask`."""
    name = f"{secrets.token_hex(12)}.{PARENT_OF_NOBODY}"
    return bool(ask(server, name, "A", recursive=True).values)


def check_interception(machine: Bare) -> Result:
    """Nobody answers in the place of others, as the login page of a hotel does."""
    around = machine.around
    ports = {"web": around.http, "mail": around.smtp}
    taken = [name for name, port in ports.items() if connects(around.nobody, port, around.timeout)]
    if taken:
        return Result(
            "interception",
            "warn",
            f"somebody answers for {around.nobody} ({' and '.join(taken)}), which nobody has",
            "A login page, or a filter of the provider, stands between the machine and the others.",
            "Log in there, or ask whoever runs the network to let this machine out directly.",
        )
    return Result("interception", "pass", "nobody answers in the place of others")


def check_public_address(machine: Bare) -> Result:
    """One of the machine's addresses is public, so that others can reach it."""
    found = machine.around.outgoing()
    public = [str(address) for address in found if is_public(address)]
    private = [str(address) for address in found if not is_public(address)]
    behind = [address for address in found if address.version == 4 and not is_public(address)]
    if public and not behind:
        return Result("public address", "pass", ", ".join(public))
    why = "Others send mail to a public address, and only a router knows this machine's."
    if private:
        return Result(
            "public address",
            "warn",
            f"behind address translation: {', '.join(private)}",
            why,
            "Have the router pass the mail ports on to it, and set dns.addresses in the settings.",
        )
    return Result("public address", "fail", "none", why, "Look at the addresses above.")
