"""The step "Network": how the machine gets its addresses."""

from __future__ import annotations

from firstboot.base.located import Located, Plain
from firstboot.base.questions.judge import sentence
from firstboot.base.questions.model import Answer, Choice, Context, Kind, Question, Step, Verdict
from firstboot.base.rules import check_network

AUTOMATIC = ""

_METHODS = (
    Choice(
        "dhcp",
        "Automatically (DHCP)",
        "Right for nearly every network at home and at a hosting company.",
    ),
    Choice(
        "static",
        "With addresses that I type",
        "For a network without DHCP. You need an address, the gateway and a DNS server.",
    ),
)


def _methods(_context: Context) -> tuple[Choice, ...]:
    return _METHODS


def _dhcp(_context: Context) -> Answer:
    return "dhcp"


def _is_static(context: Context) -> bool:
    return context.text("network.method") == "static"


def _has_several(context: Context) -> bool:
    return len(context.facts.interfaces) > 1 or bool(context.text("network.interface"))


def _interfaces(context: Context) -> tuple[Choice, ...]:
    names = dict.fromkeys((*context.facts.interfaces, context.text("network.interface")))
    return tuple(Choice(name, name, "") for name in names if name)


def _check(key: str, items: tuple[str, ...], context: Context) -> Verdict:
    """Judge a list of `network` by the rules of the settings, together with those before it."""
    network: dict[str, Plain] = {"method": "static", key: items}
    if key == "gateways":
        network["addresses"] = context.texts("network.addresses")
    document = Located({"network": network})
    check_network(document)
    for problem in document.problems:
        if problem.place[:2] == ("network", key):
            return Verdict(items, problem=sentence(problem.text))
    return Verdict(items)


def _check_addresses(items: tuple[str, ...], context: Context) -> Verdict:
    return _check("addresses", items, context)


def _check_gateways(items: tuple[str, ...], context: Context) -> Verdict:
    return _check("gateways", items, context)


def _check_dns(items: tuple[str, ...], context: Context) -> Verdict:
    return _check("dns", items, context)


STEP = Step(
    "network",
    "Network",
    "The machine needs a way to the Internet.",
    (
        Question(
            "network.method",
            Kind.CHOICE,
            "Addresses",
            "How does this machine get its addresses?",
            "A mail server is found by its address, so that must stay the same: have the router "
            "give this machine always the same one, or type one here.",
            default=_dhcp,
            choices=_methods,
        ),
        Question(
            "network.interface",
            Kind.CHOICE,
            "Network port",
            "Which of its network ports is connected?",
            "Without a preference the machine uses whichever is connected.",
            optional=True,
            asked=_has_several,
            choices=_interfaces,
        ),
        Question(
            "network.addresses",
            Kind.LIST,
            "Own addresses",
            "Which addresses does it have?",
            "With prefix length, such as 192.0.2.10/24. An IPv6 address may stand beside it: "
            "2001:db8::10/64.",
            asked=_is_static,
            check_list=_check_addresses,
        ),
        Question(
            "network.gateways",
            Kind.LIST,
            "Gateway",
            "Which router leads to the Internet?",
            "Its address in your network, such as 192.0.2.1; for IPv6 often fe80::1.",
            asked=_is_static,
            check_list=_check_gateways,
        ),
        Question(
            "network.dns",
            Kind.LIST,
            "DNS servers",
            "Which servers look up names for it?",
            "Usually the router's address again. Public resolvers for everybody are often refused "
            "by lists against spam.",
            asked=_is_static,
            check_list=_check_dns,
        ),
    ),
)
