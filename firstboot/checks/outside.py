"""Checks of how the rest of the world sees the machine."""

from __future__ import annotations

import ipaddress

from firstboot.base.dnsrules import is_public
from firstboot.base.rules import IPAddress
from firstboot.checks.machine import Bare, Machine
from firstboot.checks.result import Result, State, worst
from firstboot.system.dnsclient import NoAnswerError, Server, ask
from firstboot.system.smtp import connects
from firstboot.system.sockets import listening

# RFC 5782, 5: every list of IPv4 addresses has this one.
TEST_ENTRY = "2.0.0.127"
_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
# By these, lists say that they do not answer this resolver, or not so many questions.
_REFUSALS = ipaddress.ip_network("127.255.255.0/24")


def public_addresses(machine: Bare) -> tuple[IPAddress, ...]:
    """What the settings say, else the public ones of the machine itself."""
    if isinstance(machine, Machine) and machine.settings.dns.addresses:
        return tuple(map(ipaddress.ip_address, machine.settings.dns.addresses))
    return tuple(address for address in machine.around.outgoing() if is_public(address))


def check_ports_in(machine: Machine) -> Result:
    """Others can reach the ports, as far as a machine can tell alone."""
    around = machine.around
    numbers = [port.published for port in machine.needed.ports]
    shown = " ".join(map(str, numbers))
    own = {address for address in around.outgoing() if is_public(address)}
    public = public_addresses(machine)
    why = "Others deliver mail to port 25; mail programs use the other ones."
    if not public:
        advice = "Have the router pass these ports on, and set dns.addresses in the settings."
        return Result("ports in", "warn", f"not known: no public address for {shown}", why, advice)
    if own & set(public):
        open_ports = {listener.port for listener in listening() if listener.reachable}
        closed = [number for number in numbers if number not in open_ports]
        if closed:
            measured = f"nobody listens on {' '.join(map(str, closed))}"
            return Result("ports in", "fail", measured, why, "Look at the containers.")
        measured = f"open here: {shown}; what stands before the machine cannot be seen from it"
        return Result("ports in", "pass", measured)
    address = str(public[0])
    missed = [number for number in numbers if not connects(address, number, around.timeout)]
    if missed:
        measured = f"from inside, {address} does not answer on {' '.join(map(str, missed))}"
        advice = "If mail from outside does not arrive, have the router pass these ports on."
        return Result("ports in", "warn", measured, why, advice)
    return Result("ports in", "pass", f"{address} passes on {shown}")


def check_reverse_dns(machine: Bare) -> Result:
    """The public addresses have a name, and the name leads back to them."""
    addresses = public_addresses(machine)
    why = "Many servers refuse mail from an address without a name that leads back to it."
    if not addresses:
        advice = "Set dns.addresses in the settings."
        return Result("reverse DNS", "warn", "no public address is known", why, advice)
    hostname = machine.settings.hostname if isinstance(machine, Machine) else None
    server = _resolver(machine)
    states: list[State] = ["pass"]
    shown = []
    for address in addresses:
        state, text = _reverse(address, hostname, server)
        states.append(state)
        shown.append(text)
    state = worst(*states)
    if state == "pass":
        return Result("reverse DNS", state, "; ".join(shown))
    if state == "fail" and hostname is None:
        # It can still be arranged.
        state = "warn"
    advice = f"Set it to {hostname or 'the host name'} where the address comes from: the provider."
    return Result("reverse DNS", state, "; ".join(shown), why, advice)


def _reverse(address: IPAddress, hostname: str | None, server: Server) -> tuple[State, str]:
    """How an address's name is doing, for a machine that may have its own already."""
    names = ask(server, address.reverse_pointer, "PTR", recursive=True).values
    if not names:
        return "fail", f"{address} has no name"
    shown = ", ".join(names)
    if not any(_leads_to(name, address, server) for name in names):
        return "fail", f"{address} is {shown}, which does not lead back to it"
    if hostname and hostname not in names:
        return "warn", f"{address} is {shown}, not {hostname}"
    return "pass", f"{address} is {shown}"


def check_blocklists(machine: Bare) -> Result:
    """The address is on no list of those that send unwanted mail."""
    addresses = [address for address in public_addresses(machine) if address.version == 4]
    why = "Servers that ask such a list refuse mail from this address."
    if not addresses:
        advice = "Set dns.addresses in the settings."
        return Result("blocklists", "warn", "no public IPv4 address is known", why, advice)
    server = _resolver(machine)
    asked, refused, listed = [], [], []
    for blocklist in machine.around.blocklists:
        try:
            if not _entries(TEST_ENTRY, blocklist, server):
                raise NoAnswerError(f"{blocklist} does not answer this resolver")
            asked.append(blocklist)
            for address in addresses:
                reverse = ".".join(reversed(str(address).split(".")))
                codes = _entries(reverse, blocklist, server)
                listed += [f"{address} is on {blocklist} ({', '.join(codes)})"] if codes else []
        except NoAnswerError:
            refused.append(blocklist)
    if listed:
        advice = "Find out at the list why, and how to be taken off; or ask for another address."
        return Result("blocklists", "fail", "; ".join(listed), why, advice)
    if not asked:
        advice = "A resolver of your own would be answered; nothing else depends on it."
        measured = f"could not be asked: {', '.join(refused)}"
        return Result("blocklists", "warn", measured, why, advice)
    measured = f"on none of: {', '.join(asked)}"
    if refused:
        measured += f"; could not be asked: {', '.join(refused)}"
    return Result("blocklists", "pass", measured)


def _entries(reverse: str, blocklist: str, server: Server) -> tuple[str, ...]:
    """A list's codes for an address; what is no code of a list, or a refusal, does not count.

    Raises NoAnswerError when the list, or the resolver, refuses.
    """
    values = ask(server, f"{reverse}.{blocklist}", "A", recursive=True).values
    codes = [ipaddress.ip_address(value) for value in values]
    if any(code in _REFUSALS for code in codes):
        raise NoAnswerError(f"{blocklist} does not answer this resolver")
    return tuple(str(code) for code in codes if code in _LOOPBACK)


def _leads_to(name: str, address: IPAddress, server: Server) -> bool:
    kind = "A" if address.version == 4 else "AAAA"
    return str(address) in ask(server, name, kind, recursive=True).values


def _resolver(machine: Bare) -> Server:
    """The first resolver that answers; NoAnswerError when none does."""
    problems: list[str] = []
    for server in machine.around.resolvers():
        try:
            ask(server, ".", "NS", recursive=True, timeout=2.0)
            return server
        except NoAnswerError as error:
            problems.append(error.message)
    raise NoAnswerError("; ".join(problems) or "no resolver is known")
