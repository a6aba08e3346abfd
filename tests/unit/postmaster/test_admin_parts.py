"""The parts of the web pages that need no server: catalogue, sessions, forms' tokens, words."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from firstboot.administration import sessions as machine_sessions
from firstboot.administration.tokens import Tokens
from firstboot.base.engine import Engine
from firstboot.base.paths import Paths
from firstboot.cli.verbs import all_verbs
from firstboot.queue.codes import CODES
from firstboot.queue.maillog import JournalLog
from firstboot.queue.reasons import PHRASES, UNKNOWN, UNTRIED
from firstboot.queue.telling import REFUSALS, SEND_AGAIN
from postmaster.admin import languages, pages, rendering
from postmaster.admin.browsers import browser_of
from postmaster.admin.forms import FormError, FormTokens
from postmaster.admin.languages import LANGUAGES, choose_language, read_catalogue
from postmaster.admin.machine import read_machine
from postmaster.admin.sessions import IDLE_SECONDS, LONGEST_SECONDS, MOST_OF_A_PERSON, Sessions
from postmaster.admin.sizes import ago, size_of
from postmaster.errors import StartError

HERE = Path(languages.__file__).parent
# A key in code or a template: `file.name` of a file of the catalogue.
_FILES = "|".join(re.escape(path.stem) for path in (HERE / "texts").glob("*.yaml"))
_KEY = re.compile(rf"""["']((?:{_FILES})\.[a-z0-9-]+)["']""")
# Made from parts: a page's refusal, a scope, what the machine calls a state, what is done to mail.
_MADE = re.compile(
    r"refusal\.(form|gone|away|defect)-(heading|text)|apps\.(mail|send|dav)(-help)?"
    r"|administrator\.(backup|certificate)-[a-z-]+|domains\.state-[a-z]+"
    r"|queue\.(retry|hold|release|delete)(-done)?"
    r"|administrator\.mail-(received|junk|refused|sent|(from|most)-(hour|day))"
    r"|mail-log\.outcome-[a-z-]+"
    r"|tokens\.(status|read|people|domains|queue)(-help)?"
)
# What the machine is asked, which looks like a key.
_VERBS = frozenset(
    all_verbs(Paths(), Engine(), machine_sessions.Sessions(Paths()), Tokens(Paths()), JournalLog())
)


def used_keys() -> set[str]:
    sources = [*HERE.rglob("*.py"), *HERE.rglob("*.j2")]
    found = {key for path in sources for key in _KEY.findall(path.read_text(encoding="utf-8"))}
    verbs = _VERBS - set(read_catalogue().texts)
    return {key for key in found - verbs if not key.endswith("-")}


# The catalogue


def test_every_text_is_in_every_language() -> None:
    for key, text in read_catalogue().texts.items():
        assert set(text) == set(LANGUAGES), key
        assert all(value.strip() for value in text.values()), key
        names = {
            tuple(sorted(name for _, name, _, _ in string.Formatter().parse(value) if name))
            for value in text.values()
        }
        assert len(names) == 1, key


def test_chinese_texts_are_chinese() -> None:
    # Names of programs, protocols and the product are the same everywhere.
    same = {"overview.apple"}
    for key, text in read_catalogue().texts.items():
        bare = re.sub(r"\{\w+\}", "", text["zh"])
        assert re.search(r"[\u4e00-\u9fff]", bare) or key in same, key
        assert not re.search(r"[\u4e00-\u9fff]", text["en"]), key


def test_what_the_machine_says_of_mail_is_in_every_language() -> None:
    reasons = [*(phrase.reason for phrase in PHRASES), UNTRIED, UNKNOWN, *CODES.values()]
    said = {words for reason in reasons for words in (reason.text, reason.advice)}
    said |= {words for _, text, advice in REFUSALS for words in (text, advice)}
    # The words of main.cf's header_checks, as a sentence.
    said |= {SEND_AGAIN, "spam is not forwarded."}
    catalogue = read_catalogue()
    assert set(catalogue.sentences) == said
    for words, others in catalogue.sentences.items():
        assert set(others) == set(LANGUAGES) - {"en"}, words
        assert re.search(r"[\u4e00-\u9fff]", others["zh"]), words
        assert others["zh"].count("`") == words.count("`"), words


def test_texts_are_those_that_are_used() -> None:
    known = set(read_catalogue().texts)
    made = {key for key in known if _MADE.fullmatch(key)}
    menu = {key for _, key in (*pages.MENU, *pages.ADMINISTRATOR_MENU)}
    assert used_keys() | menu | made == known


@pytest.mark.parametrize(
    ("wanted", "accepted", "found"),
    [
        ("", "", "en"),
        ("", "zh", "zh"),
        ("", "zh-TW,zh;q=0.8,en-US;q=0.5", "zh"),
        ("", "fr-FR, en;q=0.3, zh;q=0.7", "zh"),
        ("", "de", "en"),
        ("", "zh;q=0", "en"),
        ("", "zh;q=x,en;q=0.1", "en"),
        ("", ";;,=,zh;q", "en"),
        ("zh", "en", "zh"),
        ("xx", "zh", "zh"),
    ],
)
def test_the_language_is_chosen_or_asked_for(wanted: str, accepted: str, found: str) -> None:
    assert choose_language(wanted, accepted) == found


# Sessions


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_ends_when_it_is_not_used() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    token = sessions.begin("ada", "", "192.0.2.1", "")
    clock.now += IDLE_SECONDS
    assert sessions.find(token) is not None
    clock.now += IDLE_SECONDS
    assert sessions.find(token) is not None
    clock.now += IDLE_SECONDS + 1
    assert sessions.of("ada") == []
    assert sessions.find(token) is None


def test_a_session_ends_some_day_though_it_is_used() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    token, begun = sessions.begin("ada", "", "192.0.2.1", ""), clock.now
    while clock.now - begun <= LONGEST_SECONDS:
        assert sessions.find(token) is not None
        clock.now += IDLE_SECONDS
    assert sessions.find(token) is None


def test_a_person_has_so_many_sessions_and_the_oldest_go() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    other = sessions.begin("bob", "", "192.0.2.1", "")
    tokens = []
    for _ in range(MOST_OF_A_PERSON + 5):
        clock.now += 1
        tokens.append(sessions.begin("ada", "", "192.0.2.1", ""))
    assert len(sessions.of("ada")) == MOST_OF_A_PERSON
    assert [sessions.find(token) is None for token in tokens[:6]] == [True] * 5 + [False]
    assert sessions.find(other) is not None


def test_no_token_is_kept() -> None:
    sessions = Sessions()
    token = sessions.begin("ada", "", "192.0.2.1", "")
    kept = str(vars(sessions))
    assert len(token) >= 43  # 256 bits in base64
    assert token not in kept


def test_tokens_of_forms_belong_to_one_browser_and_one_start() -> None:
    tokens = FormTokens()
    tokens.require("a secret", tokens.make("a secret"))
    for secret, given in (
        ("a secret", tokens.make("another")),
        ("a secret", FormTokens().make("a secret")),
        ("a secret", ""),
        ("a secret", "ü"),
        ("", tokens.make("")),
    ):
        with pytest.raises(FormError):
            tokens.require(secret, given)


# Words


@pytest.mark.parametrize(
    ("agent", "found"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0",
            "Firefox, Linux",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
            " Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
            "Edge, Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15"
            " (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
            "Safari, iPhone",
        ),
        ("curl/8.0", ""),
        ("", ""),
    ],
    ids=["firefox", "edge", "iphone", "curl", "nothing"],
)
def test_browsers_have_names(agent: str, found: str) -> None:
    assert browser_of(agent) == found


def test_sizes_and_times_are_said_in_words() -> None:
    assert [size_of(n) for n in (0, 1023, 1536, 10 << 30, 1 << 50)] == [
        "0 bytes",
        "1023 bytes",
        "1.5 KiB",
        "10 GiB",
        "1024 TiB",
    ]
    catalogue = read_catalogue()

    def text(key: str, **values: object) -> str:
        return catalogue.text("en", key, **values)

    said = [ago(text, seconds) for seconds in (-5, 59, 60, 7199, 86400, 172800)]
    assert said == ["just now", "just now", "1 min ago", "1 h ago", "yesterday", "2 days ago"]


def test_templates_escape_and_miss_nothing() -> None:
    environment = rendering.templates()
    for name in environment.list_templates():
        environment.get_template(name)
    assert environment.from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"
    assert rendering.with_code("a `<b>` c") == "a <code>&lt;b&gt;</code> c"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"hostname": "x"}'])
def test_a_machine_that_nobody_wrote_is_an_error_with_a_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "machine.json"
    path.write_text(text)
    with pytest.raises(StartError, match=re.escape(str(path))):
        read_machine(path)
