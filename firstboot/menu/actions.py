"""What an entry of the menu is, as data: a key, words, and what happens.

Nothing here does anything. A command is the words behind `mailstead`, so that the menu needs no
other feature's code and can do nothing that a person could not type.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True)
class Answer:
    """Stands in a command for what was answered to a question (0 is the first), as YAML.

    `text` and `list` (divided at blanks and commas) become a value that no answer can break out
    of; `word` stays as it is.
    """

    question: int
    kind: Literal["text", "list", "word"] = "text"

    def fill(self, answers: Sequence[str]) -> str:
        given = answers[self.question].strip()
        if self.kind == "word":
            return given
        value = given.replace(",", " ").split() if self.kind == "list" else given
        # JSON is YAML.
        return json.dumps(value, ensure_ascii=False)


Word: TypeAlias = "str | Answer"


@dataclass(frozen=True)
class Command:
    """Runs `mailstead WORDS`, after asking `questions`; an empty answer changes nothing.

    What only prints is shown in pages; everything else gets the terminal.
    """

    words: tuple[Word, ...]
    pages: bool = False
    questions: tuple[str, ...] = ()

    def fill(self, answers: Sequence[str] = ()) -> tuple[str, ...]:
        return tuple(word if isinstance(word, str) else word.fill(answers) for word in self.words)


@dataclass(frozen=True)
class Text:
    """Words to read; each paragraph is wrapped."""

    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class Menu:
    """Entries below a title. `shows` is a command whose output stands above them."""

    title: str
    entries: tuple[Entry, ...]
    shows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Helps:
    """Explains every entry of the menu that it is in."""


@dataclass(frozen=True)
class Leave:
    """Leaves the menu that it is in."""


Action: TypeAlias = "Command | Text | Menu | Helps | Leave"


@dataclass(frozen=True)
class Entry:
    """`key` is one character; the first sentence of `help` fits on a line."""

    key: str
    title: str
    help: str
    action: Action
