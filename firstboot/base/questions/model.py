"""What a question is: where its answer goes in the settings, its words, and what is a right answer.

A front shows whatever it finds by its kind, so that a new question needs no change in any front.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

# A list is a tuple of texts; a password is its Argon2id hash, never itself. A secret is itself: the
# machine has to say it to others.
Answer: TypeAlias = "str | bool | tuple[str, ...]"
Answers: TypeAlias = "Mapping[str, Answer]"

YES, NO = "yes", "no"


class Kind(Enum):
    """How an answer is given."""

    TEXT = "text"
    LIST = "list"
    CHOICE = "choice"
    YES_NO = "yes-no"
    PASSWORD = "password"  # noqa: S105 - the name of a kind
    SECRET = "secret"  # noqa: S105 - the name of a kind

    @property
    def is_hidden(self) -> bool:
        """Whether nobody is shown what is typed, or was."""
        return self in (Kind.PASSWORD, Kind.SECRET)


@dataclass(frozen=True)
class Facts:
    """What is known of the machine that is being set up.

    `protections` are the values of disk.protection that it can do; None where that is not known, as
    on the computer on which a seed is written. `interfaces` are the names of its wired networks.
    """

    protections: tuple[str, ...] | None = None
    interfaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Context:
    """What a question may depend on: the answers so far, and the machine."""

    answers: Answers = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)

    def text(self, key: str) -> str:
        """The answer to another question as text, empty where there is none."""
        found = self.answers.get(key, "")
        return found if isinstance(found, str) else ""

    def texts(self, key: str) -> tuple[str, ...]:
        """The answer to another question as list, empty where there is none."""
        found = self.answers.get(key, ())
        return found if isinstance(found, tuple) else ()


@dataclass(frozen=True)
class Verdict:
    """What became of something typed.

    `value` is the answer in the form of the settings. With a `problem` it is no answer. With a
    `doubt` it is one when the same is given once more. A `note` only tells how it was understood.
    All three are sentences for people.
    """

    value: Answer
    problem: str = ""
    doubt: str = ""
    note: str = ""


@dataclass(frozen=True)
class Choice:
    """One of several answers: how the settings spell it, its name, and what follows from it."""

    value: str
    title: str
    help: str


def _any_text(value: str, _context: Context) -> Verdict:
    return Verdict(value)


def _any_list(value: tuple[str, ...], _context: Context) -> Verdict:
    return Verdict(value)


def _no_choices(_context: Context) -> tuple[Choice, ...]:
    return ()


def _nothing(_context: Context) -> Answer:
    return ""


def _always(_context: Context) -> bool:
    return True


@dataclass(frozen=True)
class Question:
    """One question.

    `key` is the place of its answer in the settings, such as `people[0].address`; for a list of
    domains it is `domains[].name`. `title` names the answer in a few words, `text` asks, `help`
    explains (paragraphs, without line ends of their own). `check` gets a text that is not empty,
    stripped at its ends (what is hidden as it is), `check_list` a list of such. An empty answer is
    refused unless the question is `optional`.
    """

    key: str
    kind: Kind
    title: str
    text: str
    help: str
    optional: bool = False
    default: Callable[[Context], Answer] = _nothing
    asked: Callable[[Context], bool] = _always
    choices: Callable[[Context], tuple[Choice, ...]] = _no_choices
    check: Callable[[str, Context], Verdict] = _any_text
    check_list: Callable[[tuple[str, ...], Context], Verdict] = _any_list

    def preset(self, context: Context) -> Answer:
        """What stands in the field before anything is typed: the answer so far, or the default."""
        return context.answers.get(self.key, self.default(context))


@dataclass(frozen=True)
class Step:
    """Questions that are asked together, on one screen or page."""

    name: str
    title: str
    text: str
    questions: tuple[Question, ...]

    def asked(self, context: Context) -> tuple[Question, ...]:
        """Those of its questions that make sense with the answers so far."""
        return tuple(question for question in self.questions if question.asked(context))
