"""The questions of setup: each has all it needs, and wrong answers are told from right ones."""

from __future__ import annotations

import pytest

from firstboot.base.located import read_located
from firstboot.base.questions.assemble import assemble, drop, find_answers, put, take
from firstboot.base.questions.catalogue import STEPS, asked_questions, find_question, questions
from firstboot.base.questions.judge import MAX_CHARACTERS, judge, typed_form
from firstboot.base.questions.model import Answer, Context, Facts, Kind, Question
from firstboot.base.settings import parse_settings
from tests.unit.firstboot.samples import HASH, SETTINGS

# A right answer to every question, as typed; one that is never asked would be missing here.
TYPED = {
    "network.method": "static",
    "network.interface": "enp1s0",
    "network.addresses": "192.0.2.10/24, 2001:db8::10/64",
    "network.gateways": "192.0.2.1 fe80::1",
    "network.dns": "192.0.2.1",
    "domains[].name": "Example.com, example.org",
    "hostname": "mail.example.com",
    "people[0].address": "ada@example.com",
    "people[0].name": "Ada Lovelace",
    "people[0].password_hash": "correct horse battery staple",
    "relay.host": "smtp.example.net",
    "relay.tls": "implicit",
    "relay.username": "ada",
    "relay.password": " ".join(("trumpet", "harbour")),
    "disk.protection": "passphrase",
    "tls.method": "acme",
    "tls.email": "ada@example.com",
    "updates.url": "https://updates.example.com/mailstead",
    "updates.automatic": "yes",
    "updates.window": "22:00-01:30",
    "backup.targets[0].repository": "sftp:ada@backup.example.com:/srv/mail",
    "backup.targets[0].name": "Home",
    "backup.schedule": "Hourly",
    "administrator.password_hash": "purple monkey dishwasher tango",
}
# What almost any text is a right answer to.
ANYTHING = {"people[0].name", "relay.username", "relay.password"}
FACTS = Facts(protections=("passphrase", "key-file"), interfaces=("enp1s0", "enp2s0"))


def answer_all() -> dict[str, Answer]:
    answers: dict[str, Answer] = {}
    for question in questions():
        context = Context(answers, FACTS)
        assert question.asked(context), question.key
        verdict = judge(question, TYPED[question.key], context)
        assert not verdict.problem, (question.key, verdict.problem)
        answers[question.key] = HASH if question.kind is Kind.PASSWORD else verdict.value
    return answers


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.key)
def test_every_question_has_words_a_rule_and_a_place(question: Question) -> None:
    assert question.title
    assert question.text.endswith("?")
    assert question.help.endswith(".")
    assert "\n" not in question.help
    # Something that is certainly no answer to any of them.
    context = Context({**answer_all(), question.key: ""}, FACTS)
    assert judge(question, "x" * (MAX_CHARACTERS + 1), context).problem
    if question.key not in ANYTHING:
        assert judge(question, "!", context).problem
    # In the settings, and found there again.
    values = read_located(assemble(answer_all(), FACTS)).value
    assert isinstance(values, dict)
    assert take(values, question.key) == answer_all()[question.key]
    if question.kind is Kind.CHOICE:
        assert all(choice.title for choice in question.choices(context))


def test_the_answers_make_settings_and_settings_make_answers() -> None:
    text = assemble(answer_all(), FACTS)
    settings = parse_settings(text, "x")
    assert settings.hostname == "mail.example.com"
    assert [domain.name for domain in settings.domains] == ["example.com", "example.org"]
    assert settings.network.gateways == ("192.0.2.1", "fe80::1")
    values = read_located(text).value
    assert isinstance(values, dict)
    assert find_answers(values) == answer_all()


def test_keys_and_names_are_each_there_once() -> None:
    keys = [question.key for question in questions()]
    assert len(keys) == len(set(keys))
    assert len({step.name for step in STEPS}) == len(STEPS)
    assert find_question("hostname").key == "hostname"
    with pytest.raises(KeyError):
        find_question("nothing")


def test_answers_that_are_no_longer_asked_for_stay_out() -> None:
    answers = {**answer_all(), "network.method": "dhcp", "updates.url": ""}
    text = assemble(answers, FACTS)
    for key in ("addresses", "gateways", "window", "automatic", "url"):
        assert f"{key}:" not in text
    parse_settings(text, "x")


def test_what_a_seed_holds_beyond_the_questions_stays() -> None:
    values = read_located(SETTINGS + "updates: {channel: candidate}\n").value
    assert isinstance(values, dict)
    answers = {**find_answers(values), "domains[].name": ("example.com", "example.net")}
    settings = parse_settings(assemble(answers, FACTS, values), "x")
    assert settings.updates.channel == "candidate"
    assert settings.people[0].aliases == ("countess@example.com",)
    assert [domain.name for domain in settings.domains] == ["example.com", "example.net"]


def test_an_answer_in_place_of_what_a_seed_holds() -> None:
    static = "network: {method: static, addresses: [192.0.2.2/24], gateways: [192.0.2.1]}\n"
    values = read_located(SETTINGS + static).value
    assert isinstance(values, dict)
    answers = {**find_answers(values), "network.method": "dhcp", "people[0].name": ""}
    settings = parse_settings(assemble(answers, FACTS, values), "x")
    assert settings.network.method == "dhcp"
    assert settings.network.addresses == ()
    assert settings.people[0].name == ""


def test_places() -> None:
    values: dict[str, object] = {}
    put(values, "a.b", "1")
    put(values, "l[1].c", "2")
    put(values, "m[].d", ("x", "y"))
    assert values == {"a": {"b": "1"}, "l": [{}, {"c": "2"}], "m": [{"d": "x"}, {"d": "y"}]}
    drop(values, "a.b")
    drop(values, "l[1].c")
    drop(values, "l[7].c")
    assert values == {"m": [{"d": "x"}, {"d": "y"}]}
    with pytest.raises(ValueError, match="no place"):
        put(values, "A!", "")


# Bad input.


def verdict_on(key: str, typed: str, **answers: Answer) -> tuple[Answer, str, str, str]:
    known = {name.replace("__", "."): answer for name, answer in answers.items()}
    question = find_question(key)
    verdict = judge(question, typed, Context({"network.method": "static", **known}))
    return verdict.value, verdict.problem, verdict.doubt, verdict.note


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("example", "at least two labels"),
        ("gmail.com", "gmail.com is somebody else's domain"),
        ("mail.googlemail.com", "somebody else's"),
        ("co.uk", "co.uk is a public suffix"),
        ("exa_mple.com", "letters, digits and hyphens"),
        ("192.0.2.1", "not an IP address"),
        ("https://example.com", "letters, digits and hyphens"),
        ("example..com", "letters, digits and hyphens"),
        ("example.com, example.com.", "stands there twice"),
        ("ex\u202eample.com", "cannot be seen"),
        ("\u2260\u2260.com", "not a domain name"),
        ("", "At least one is needed."),
        (" , ", "At least one is needed."),
    ],
)
def test_domains_that_are_wrong(typed: str, said: str) -> None:
    assert said in verdict_on("domains[].name", typed)[1]


@pytest.mark.parametrize(
    ("typed", "value", "doubt", "note"),
    [
        ("Example.COM", "example.com", "", ""),
        ("example.com.", "example.com", "", "without the dot"),
        ("bücher.de", "xn--bcher-kva.de", "", "bücher.de is written xn--bcher-kva.de"),
        ("example.con", "example.con", "Did you mean example.com?", ""),
        ("example.ogr", "example.ogr", "Did you mean example.org?", ""),
        ("gmial.com", "gmial.com", "gmail.com would be somebody else's", ""),
        ("family.lan", "family.lan", "no mail from outside", ""),
        ("example.qqqqqqqq", "example.qqqqqqqq", "that this machine knows of", ""),
    ],
)
def test_domains_that_may_be_meant(typed: str, value: str, doubt: str, note: str) -> None:
    found, problem, doubted, noted = verdict_on("domains[].name", typed)
    assert (found, problem) == ((value,), "")
    assert doubt in doubted
    assert bool(doubt) == bool(doubted)
    assert note in noted
    assert bool(note) == bool(noted)


def test_a_doubt_about_a_domain_is_not_raised_again_by_its_host() -> None:
    question, known = find_question("hostname"), Context({"domains[].name": ("family.lan",)})
    for typed, doubt in (("mail.family.lan", False), ("family.lan", False), ("xfamily.lan", True)):
        verdict = judge(question, typed, known)
        assert (verdict.problem, bool(verdict.doubt)) == ("", doubt), typed


DOMAINS = {"domains[].name": ("example.com", "xn--bcher-kva.de")}


@pytest.mark.parametrize(
    ("typed", "value", "said"),
    [
        ("ada", "ada@example.com", ""),
        ("Ada@Example.com", "ada@example.com", ""),
        ("ada@bücher.de", "ada@xn--bcher-kva.de", ""),
        ("ada@example.org", "ada@example.org", "one of your domains: example.com"),
        ("ada lovelace@example.com", "", "an address such as"),
        ("ada+x@example.com", "", "an address such as"),
        ("@example.com", "", "an address such as"),
        ("canary@example.com", "", "machine checks itself"),
        ("", "", "Something goes here."),
    ],
)
def test_addresses(typed: str, value: str, said: str) -> None:
    context = Context({**DOMAINS, "hostname": "example.com"})
    verdict = judge(find_question("people[0].address"), typed, context)
    assert said in verdict.problem
    assert bool(said) == bool(verdict.problem)
    if value:
        assert verdict.value == value


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "Choose a password."),
        ("short", "at least 10 characters"),
        ("password1234", "easy to guess"),
        ("lovelace1815", "easy to guess"),
        ("qwertyuiop123", "easy to guess"),
        ("aaaaaaaaaaaaaaaa", "easy to guess"),
        ("x" * 600, "at most 512"),
    ],
)
def test_passwords_that_others_would_guess(typed: str, said: str) -> None:
    answers: dict[str, Answer] = {"people[0].name": "Ada Lovelace", **DOMAINS}
    verdict = judge(find_question("people[0].password_hash"), typed, Context(answers))
    assert said in verdict.problem
    assert verdict.value == ""


def test_a_password_is_typed_twice_and_never_the_value() -> None:
    question = find_question("people[0].password_hash")
    good = TYPED[question.key]
    assert "not the same" in judge(question, good, Context(), again=good + "r").problem
    verdict = judge(question, good, Context(), again=good)
    assert (verdict.value, verdict.problem) == ("", "")


@pytest.mark.parametrize(
    ("key", "typed", "said"),
    [
        ("network.addresses", "192.0.2.10", "prefix length"),
        ("network.addresses", "192.0.2.255/24", "not that of the whole network"),
        ("network.gateways", "198.51.100.1", "within the network of one of the addresses"),
        ("network.gateways", "192.0.2.10", "another machine than this one"),
        ("network.dns", "resolver", "an IP address"),
        ("network.dns", "127.0.0.1", "address of one machine"),
        ("updates.url", "ftp://example.com", "such as https"),
        ("updates.window", "2-5", "two times of day"),
        ("updates.window", "02:00-02:00", "another time"),
        ("updates.automatic", "perhaps", "yes or no"),
        ("backup.targets[0].repository", "ftp://example.com", "disk:LABEL"),
        ("backup.targets[0].name", "at home", "small letters"),
        ("backup.schedule", "weekly", "hourly, or off"),
        ("network.method", "magic", "Choose one of: dhcp, static."),
        ("relay.host", "mail", "two labels"),
        ("relay.host", "192.0.2.1", "not an IP address"),
        ("relay.host", "mail.example.com", "this machine itself"),
        ("relay.tls", "none", "Choose one of: starttls, implicit."),
        ("relay.username", "ada:x", "without blanks and colons"),
        ("relay.password", "secret ", "without blanks at the ends"),
        ("relay.password", "", "Something goes here."),
        ("hostname", "mail", "two labels"),
        ("hostname", "mail.gmail.com", "somebody else's"),
    ],
)
def test_other_wrong_answers(key: str, typed: str, said: str) -> None:
    found = verdict_on(
        key, typed, network__addresses=("192.0.2.10/24",), hostname="mail.example.com"
    )
    assert said in found[1]


def test_only_what_the_machine_can_do_is_offered() -> None:
    question = find_question("disk.protection")
    without = Context(facts=Facts(protections=("passphrase", "key-file")))
    assert "Choose one of" in judge(question, "tpm2", without).problem
    assert question.preset(without) == "passphrase"
    assert question.preset(Context(facts=Facts(protections=("tpm2",)))) == "tpm2"


def test_a_place_for_backups_has_a_name_and_says_what_is_still_to_do() -> None:
    name = find_question("backup.targets[0].name")
    assert not name.asked(Context())
    s3 = Context({"backup.targets[0].repository": "s3:https://s3.example.com/mail"})
    assert (name.asked(s3), name.preset(s3)) == (True, "s3")
    place = find_question("backup.targets[0].repository")
    assert judge(place, "disk:MAIL", Context()).note == ""
    assert "after the setup" in judge(place, "sftp:ada@example.com:/mail", Context()).note


def test_a_place_for_backups_that_was_taken_back_leaves_nothing() -> None:
    values = read_located(SETTINGS + "backup: {targets: [{name: a, repository: 'disk:A'}]}\n").value
    assert isinstance(values, dict)
    answers = {**find_answers(values), "backup.targets[0].repository": ""}
    text = assemble(answers, FACTS, values)
    assert "backup" not in text
    assert parse_settings(text, "x").backup.targets == ()


def test_questions_depend_on_answers() -> None:
    asked = {question.key for question in asked_questions(Context())}
    assert not asked & {"network.addresses", "network.interface", "updates.window"}
    assert "relay.host" in asked
    assert not asked & {"relay.tls", "relay.username", "relay.password"}
    asked = {q.key for q in asked_questions(Context({"relay.host": "smtp.example.net"}))}
    assert {"relay.tls", "relay.username"} <= asked
    assert "relay.password" not in asked
    assert find_question("hostname").preset(Context(DOMAINS)) == "mail.example.com"


def test_answers_as_somebody_would_type_them() -> None:
    assert typed_form(True) == "yes"
    assert typed_form(("a", "b")) == "a, b"
    assert typed_form("x") == "x"
