"""Plain prompts, one line after the other: for a terminal that cannot move its cursor."""

from __future__ import annotations

import getpass
import textwrap
from collections.abc import Callable, Mapping
from typing import TextIO

from firstboot.base.questions.model import YES, Choice, Kind, Question
from firstboot.wizard.flow import Row, choices
from firstboot.wizard.terminal.page import AGAIN, Move, Page

WIDTH = 79
_HINT = "Enter takes what stands in [ ]. < goes back a step, ! leaves; answers are kept."
_MOVES = {"<": Move.BACK, "!": Move.LEAVE}


class PlainFront:
    """Asks on two files; a secret is read by `read_secret`, which shows nothing."""

    def __init__(
        self,
        source: TextIO,
        target: TextIO,
        *,
        is_overtaken: Callable[[], bool] = lambda: False,
        read_secret: Callable[[str], str] | None = None,
    ) -> None:
        self.source = source
        self.target = target
        self.is_overtaken = is_overtaken
        self.read_secret = read_secret or self._read_secret

    def ask(self, page: Page) -> Mapping[str, str] | Move:
        self._write("", f"== {page.heading} ({page.place}) ==", page.notice, page.step.text, _HINT)
        typed: dict[str, str] = {}
        for question in page.questions:
            self._write("", question.text, *(f"! {text}" for text in page.remarks(question)))
            if question.kind.is_hidden:
                reply = self._ask_secret(page, question, typed)
            else:
                reply = self._ask(page, question)
            if isinstance(reply, Move):
                return reply
            typed[question.key] = reply
        return typed

    def confirm(self, rows: tuple[Row, ...], source: str, notice: str) -> bool | Move:
        self._write("", "== Setup: Summary ==", notice)
        for row in rows:
            self._write(
                f"{row.question.title}: {row.shown}" + (f" ({source})" if row.given else "")
            )
        self._write("", f"Set up the machine like this? Type {YES}. {_HINT}")
        while True:
            reply = self._read("> ")
            if isinstance(reply, Move):
                return reply
            if reply.lower() in {YES, "y"}:
                return True
            self._write(f"Type {YES}, or < to go back.")

    def tell(self, text: str) -> None:
        self._write(text)

    def _ask(self, page: Page, question: Question) -> str | Move:
        known = choices(question, page.flow.context)
        for number, choice in enumerate(known, start=1):
            self._write(f"  {number}  {choice.title}")
        preset = page.preset(question)
        shown = _shown(preset, known)
        while True:
            reply = self._read(f"[{shown}] > " if shown else "> ")
            if isinstance(reply, Move):
                return reply
            if reply == "?":
                helps = (f"{choice.title}: {choice.help}" for choice in known if choice.help)
                self._write(question.help, *helps)
                continue
            if not reply:
                return preset
            if reply.isdecimal() and 0 < int(reply) <= len(known):
                return known[int(reply) - 1].value
            # A minus sign takes away what stands there.
            return "" if reply == "-" and question.optional else reply

    def _ask_secret(self, page: Page, question: Question, typed: dict[str, str]) -> str | Move:
        kept = " (Enter keeps the one chosen before)" if page.has_password(question) else ""
        first = self.read_secret(f"Not shown{kept} > ")
        if first in _MOVES:
            return _MOVES[first]
        if question.kind is Kind.PASSWORD:
            typed[question.key + AGAIN] = self.read_secret("Once more > ") if first else ""
        return first

    def _read(self, prompt: str) -> str | Move:
        self.target.write(prompt)
        self.target.flush()
        line = self.source.readline()
        if self.is_overtaken():
            return Move.OVERTAKEN
        if not line:
            return Move.LEAVE
        text = line.strip()
        return _MOVES.get(text, text)

    def _read_secret(self, prompt: str) -> str:
        if self.source.isatty():
            return getpass.getpass(prompt)
        self.target.write(prompt)
        self.target.flush()
        return self.source.readline().rstrip("\r\n")

    def _write(self, *paragraphs: str) -> None:
        for number, text in enumerate(paragraphs):
            if text or number == 0:
                indent = " " * (len(text) - len(text.lstrip()) + 2) if text[:1] == " " else ""
                lines = textwrap.wrap(text, WIDTH, subsequent_indent=indent) or [""]
                self.target.write("\n".join(lines) + "\n")


def _shown(preset: str, known: tuple[Choice, ...]) -> str:
    for number, choice in enumerate(known, start=1):
        if choice.value == preset:
            return str(number)
    return preset
