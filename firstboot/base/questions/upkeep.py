"""The steps about what keeps the machine safe: disk, certificate, upgrades."""

from __future__ import annotations

from firstboot.base.questions.judge import sentence
from firstboot.base.questions.model import Answer, Choice, Context, Kind, Question, Step, Verdict
from firstboot.base.questions.strength import password_problem
from firstboot.base.rules import address_problem, url_problem, window_problem
from firstboot.base.sections import Updates

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
    return _CERTIFICATES


def _first_certificate(_context: Context) -> Answer:
    return _CERTIFICATES[0].value


def _is_acme(context: Context) -> bool:
    return context.text("tls.method") == "acme"


def _check_email(typed: str, _context: Context) -> Verdict:
    return Verdict(typed.lower(), problem=sentence(address_problem(typed.lower()) or ""))


def _check_password(typed: str, context: Context) -> Verdict:
    return Verdict("", problem=password_problem(typed, ["administrator", context.text("hostname")]))


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
            "This is decided once. Only what the machine can do is offered: many a rented one has "
            "no security chip.",
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
        Question(
            "tls.email",
            Kind.TEXT,
            "Contact",
            "Which address may Let's Encrypt write to?",
            "Only about your certificates. It may be one that this machine will receive mail for.",
            optional=True,
            asked=_is_acme,
            check=_check_email,
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

ADMINISTRATOR = Step(
    "administrator",
    "Administrator",
    "After the setup, this console shows how the machine is doing. A password opens its menu.",
    (
        Question(
            "administrator.password_hash",
            Kind.PASSWORD,
            "Menu password",
            "Which password opens the menu?",
            "Not the one of the mailbox: whoever has it can change the settings and switch the "
            "machine off. Nobody can read mail with it. Only a hash of it is kept.",
            check=_check_password,
        ),
    ),
)
