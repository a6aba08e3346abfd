"""The steps "Domains", "Name" and "First person": what mail is received, where, and for whom."""

from __future__ import annotations

from dataclasses import replace

from firstboot.base.questions.domains import judge_domain, read_domain
from firstboot.base.questions.judge import sentence
from firstboot.base.questions.model import Answer, Context, Kind, Question, Step, Verdict
from firstboot.base.questions.strength import password_problem
from firstboot.base.rules import address_problem

DOMAINS_KEY = "domains[].name"
PERSON = "people[0]"


def _check_domains(items: tuple[str, ...], _context: Context) -> Verdict:
    names: list[str] = []
    doubts, notes = [], []
    for item in items:
        verdict = judge_domain(item)
        name = str(verdict.value)
        problem = verdict.problem
        if not problem and name in names:
            problem = f"{name} stands there twice."
        if problem:
            return Verdict(items, problem=problem if name in problem else f"{item}: {problem}")
        names.append(name)
        doubts += [verdict.doubt] if verdict.doubt else []
        notes += [verdict.note] if verdict.note else []
    return Verdict(tuple(names), doubt=" ".join(doubts), note=" ".join(notes))


def _hostname(context: Context) -> Answer:
    domains = context.texts(DOMAINS_KEY)
    return f"mail.{domains[0]}" if domains else ""


def _check_hostname(typed: str, context: Context) -> Verdict:
    verdict = judge_domain(typed)
    # A domain was insisted upon where it was typed; nobody is asked twice.
    domains = (f".{domain}" for domain in context.texts(DOMAINS_KEY))
    if verdict.doubt and f".{verdict.value}".endswith(tuple(domains)):
        return replace(verdict, doubt="")
    return verdict


def _check_address(typed: str, context: Context) -> Verdict:
    domains = context.texts(DOMAINS_KEY)
    local, at, domain = typed.rpartition("@")
    if not at and domains:
        local, domain = typed, domains[0]
    read = read_domain(domain)
    address = f"{local}@{read.value}".lower()
    note = f"Taken as {address}." if address != typed.lower() else ""
    problem = sentence(address_problem(address) or "")
    if not problem and domains and str(read.value) not in domains:
        problem = f"Take an address in one of your domains: {', '.join(domains)}."
    if not problem and address == f"canary@{context.text('hostname')}":
        problem = "Take another address: with this one the machine checks itself."
    return Verdict(address, problem, note=note)


def _check_name(typed: str, _context: Context) -> Verdict:
    if len(typed) > 200 or not typed.isprintable():
        return Verdict(typed, problem="At most 200 characters that can be seen.")
    return Verdict(typed)


def _check_password(typed: str, context: Context) -> Verdict:
    known = (context.text(f"{PERSON}.address"), context.text(f"{PERSON}.name"))
    words = [*known, *context.texts(DOMAINS_KEY), "mailstead"]
    return Verdict("", problem=password_problem(typed, [word for word in words if word]))


DOMAINS = Step(
    "domains",
    "Domains",
    "Mail to addresses in these domains comes to this machine.",
    (
        Question(
            DOMAINS_KEY,
            Kind.LIST,
            "Domains",
            "Which domains does it receive mail for?",
            "Domains that are yours, such as example.com: you will add records to their DNS. "
            "Several with a comma or a space between. An international name is turned into its "
            "xn-- form.",
            check_list=_check_domains,
        ),
    ),
)

NAMES = Step(
    "names",
    "Name of the machine",
    "Other mail servers and mail programs find the machine by this name.",
    (
        Question(
            "hostname",
            Kind.TEXT,
            "Host name",
            "What is its full name?",
            "A name below one of your domains, which nothing else has: mail.example.com. Your "
            "provider must be able to set it as the reverse DNS (PTR) of your address.",
            default=_hostname,
            check=_check_hostname,
        ),
    ),
)

FIRST_PERSON = Step(
    "person",
    "First person",
    "Somebody with a mailbox; usually you. Mail to postmaster and abuse comes here, too.",
    (
        Question(
            f"{PERSON}.address",
            Kind.TEXT,
            "Address",
            "What is the mail address?",
            "Such as ada@example.com. The part before the @ is enough. It is also the user name in "
            "mail programs.",
            check=_check_address,
        ),
        Question(
            f"{PERSON}.name",
            Kind.TEXT,
            "Name",
            "What is the person's name?",
            "As other people see it, such as Ada Lovelace. It may stay empty.",
            optional=True,
            check=_check_name,
        ),
        Question(
            f"{PERSON}.password_hash",
            Kind.PASSWORD,
            "Password",
            "Which password opens the mailbox?",
            "For mail programs. Four or five words that have nothing to do with each other are "
            "good. Only a hash of it is kept.",
            check=_check_password,
        ),
    ),
)
