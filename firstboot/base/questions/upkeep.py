"""The steps about what keeps the machine safe: disk, certificate, upgrades."""

from __future__ import annotations

from typing import get_args

from firstboot.base.questions.judge import sentence
from firstboot.base.questions.model import Answer, Choice, Context, Kind, Question, Step, Verdict
from firstboot.base.rules import url_problem, window_problem
from firstboot.base.settings import Tls, Updates

PROTECTION = "disk.protection"

_PROTECTIONS = (
    Choice(
        "tpm2",
        "By the machine's security chip (TPM)",
        "It starts by itself. A disk that was taken out or thrown away opens nowhere else.",
    ),
    Choice(
        "passphrase",
        "By a passphrase at each start",
        "Also a machine that was stolen stays closed. Somebody has to type it on the console "
        "whenever the machine starts.",
    ),
    Choice(
        "key-file",
        "By a key that lies beside it",
        "It starts by itself, but whoever has the disk, or hosts the machine, can read it.",
    ),
)
_CERTIFICATES = (
    Choice(
        "acme",
        "From Let's Encrypt",
        "Mail programs accept it. The host name must lead to this machine in DNS, and port 80 "
        "must be reachable; until then it makes one of its own.",
    ),
    Choice(
        "self-signed",
        "Made by the machine itself",
        "For a network that you trust: each mail program asks once whether to accept it.",
    ),
)


def _protections(context: Context) -> tuple[Choice, ...]:
    can = context.facts.protections
    return tuple(choice for choice in _PROTECTIONS if can is None or choice.value in can)


def _best_protection(context: Context) -> Answer:
    offered = _protections(context)
    return offered[0].value if offered else ""


def _certificates(_context: Context) -> tuple[Choice, ...]:
    known = get_args(Tls.model_fields["method"].annotation)
    return tuple(choice for choice in _CERTIFICATES if choice.value in known)


def _first_certificate(context: Context) -> Answer:
    return _certificates(context)[0].value


def _check_url(typed: str, _context: Context) -> Verdict:
    return Verdict(typed, problem=sentence(url_problem(typed) or ""))


def _check_window(typed: str, _context: Context) -> Verdict:
    window = "".join(typed.split())
    return Verdict(window, problem=sentence(window_problem(window) or ""))


def _has_url(context: Context) -> bool:
    return bool(context.text("updates.url"))


def _is_automatic(context: Context) -> bool:
    return _has_url(context) and context.answers.get("updates.automatic", True) is True


def _automatic(_context: Context) -> Answer:
    return True


def _window(_context: Context) -> Answer:
    return str(Updates.model_fields["window"].default)


DISK = Step(
    "disk",
    "Disk protection",
    "All mail lies on an encrypted disk. A recovery key that opens it always is shown at the end.",
    (
        Question(
            PROTECTION,
            Kind.CHOICE,
            "Disk opens",
            "What opens the disk when the machine starts?",
            "This is decided once. A machine without a TPM 2.0, as many a rented one, has no more "
            "than the other two ways.",
            default=_best_protection,
            choices=_protections,
        ),
    ),
)

TLS = Step(
    "tls",
    "Certificate",
    "Mail programs and other servers talk to this machine over encrypted lines.",
    (
        Question(
            "tls.method",
            Kind.CHOICE,
            "Certificate",
            "Where does its certificate come from?",
            "A certificate proves to a mail program that it talks to your machine.",
            default=_first_certificate,
            choices=_certificates,
        ),
    ),
)

UPDATES = Step(
    "updates",
    "Upgrades",
    "The machine can keep itself up to date, system and services as one.",
    (
        Question(
            "updates.url",
            Kind.TEXT,
            "Releases from",
            "At which web address are new releases published?",
            "A directory made by `tools/forge publish`, such as "
            "https://updates.example.com/mailstead. It needs no trust: each release is signed. "
            "Leave this empty for a machine that only you upgrade.",
            optional=True,
            check=_check_url,
        ),
        Question(
            "updates.automatic",
            Kind.YES_NO,
            "By itself",
            "Does it install them by itself?",
            "It goes back by itself to the version before when mail does not work with a new one.",
            asked=_has_url,
            default=_automatic,
        ),
        Question(
            "updates.window",
            Kind.TEXT,
            "At what time",
            "When may it do so, in UTC?",
            "Mail stops for a minute or two. Such as 02:00-05:00; it may cross midnight.",
            asked=_is_automatic,
            default=_window,
            check=_check_window,
        ),
    ),
)
