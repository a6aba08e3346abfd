"""The step "Sending mail": directly to each server, or through a smart host."""

from __future__ import annotations

from firstboot.base.questions.domains import read_domain
from firstboot.base.questions.judge import sentence
from firstboot.base.questions.model import Answer, Choice, Context, Kind, Question, Step, Verdict
from firstboot.base.relayrules import (
    RELAY_PORTS,
    relay_password_problem,
    relay_username_problem,
)

HOST, USERNAME = "relay.host", "relay.username"

_WAYS = (
    Choice(
        "starttls",
        f"STARTTLS, port {RELAY_PORTS['starttls']}",
        "The line is encrypted right after the greeting, or nothing is sent.",
    ),
    Choice(
        "implicit",
        f"TLS from the first byte, port {RELAY_PORTS['implicit']}",
        "Often called SSL/TLS.",
    ),
)


def _ways(_context: Context) -> tuple[Choice, ...]:
    return _WAYS


def _first_way(_context: Context) -> Answer:
    return _WAYS[0].value


def _has_host(context: Context) -> bool:
    return bool(context.text(HOST))


def _has_username(context: Context) -> bool:
    return _has_host(context) and bool(context.text(USERNAME))


def _check_host(typed: str, context: Context) -> Verdict:
    verdict = read_domain(typed)
    if not verdict.problem and verdict.value == context.text("hostname"):
        return Verdict(verdict.value, problem="That is this machine itself.")
    return verdict


def _check_username(typed: str, _context: Context) -> Verdict:
    return Verdict(typed, problem=sentence(relay_username_problem(typed) or ""))


def _check_password(typed: str, _context: Context) -> Verdict:
    return Verdict(typed, problem=sentence(relay_password_problem(typed) or ""))


STEP = Step(
    "sending",
    "Sending mail",
    "Mail to others goes out by port 25, which some providers close.",
    (
        Question(
            HOST,
            Kind.TEXT,
            "Smart host",
            "Through which server does mail to others go?",
            "Leave this empty to deliver it directly, as most machines do. Where port 25 is "
            "closed: the name of a server that passes mail on for you, such as smtp.example.net, "
            "your provider's or one that is paid for. It sees who writes to whom.",
            optional=True,
            check=_check_host,
        ),
        Question(
            "relay.tls",
            Kind.CHOICE,
            "Encryption",
            "How is the line to it encrypted?",
            "Whoever runs the server says which. Its certificate has to be right.",
            asked=_has_host,
            default=_first_way,
            choices=_ways,
        ),
        Question(
            USERNAME,
            Kind.TEXT,
            "User name there",
            "Which user name does it want?",
            "Leave this empty if it knows this machine by its address.",
            optional=True,
            asked=_has_host,
            check=_check_username,
        ),
        Question(
            "relay.password",
            Kind.SECRET,
            "Password there",
            "Which password does it want?",
            "It is kept on the encrypted disk, since the machine has to say it. Nobody is shown "
            "it again.",
            asked=_has_username,
            check=_check_password,
        ),
    ),
)
