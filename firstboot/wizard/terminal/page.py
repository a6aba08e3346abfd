"""What a terminal is asked to show, and what comes back; the same for screens and for prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from firstboot.base.questions.judge import typed_form
from firstboot.base.questions.model import Question, Step
from firstboot.wizard.flow import AGAIN, Flow, Row


class Move(Enum):
    """Where somebody wants to go in place of answering."""

    BACK = "back"
    LEAVE = "leave"
    # Not the person's own: the setup was finished elsewhere.
    OVERTAKEN = "overtaken"


@dataclass(frozen=True)
class Page:
    """A step on its way to being answered: its number from 1, and what to tell by its questions.

    `typed` is what stood in the fields when they were last submitted, without passwords. `notice`
    is about the page as a whole.
    """

    flow: Flow
    step: Step
    number: int
    count: int
    typed: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    doubts: Mapping[str, str] = field(default_factory=dict)
    notice: str = ""

    @property
    def questions(self) -> tuple[Question, ...]:
        return self.step.asked(self.flow.context)

    @property
    def heading(self) -> str:
        return f"Setup: {self.step.title}"

    @property
    def place(self) -> str:
        return f"step {self.number} of {self.count}"

    def preset(self, question: Question) -> str:
        """What stands in a field at first; nothing for a password."""
        if question.kind.is_hidden:
            return ""
        kept = typed_form(question.preset(self.flow.context))
        return self.typed.get(question.key, kept)

    def has_password(self, question: Question) -> bool:
        """Whether a password was chosen before, so that an empty field keeps it."""
        return bool(self.flow.draft.answers.get(question.key))

    def remarks(self, question: Question) -> tuple[str, ...]:
        """What to tell next to a question's field."""
        problem, doubt = self.problems.get(question.key), self.doubts.get(question.key)
        told = [problem] if problem else []
        if doubt:
            told.append(f"{doubt} The same once more, and it is taken.")
        return tuple(told)


class Front(Protocol):
    """A terminal that can ask."""

    def ask(self, page: Page) -> Mapping[str, str] | Move:
        """What is typed for each question of the page, passwords also with AGAIN behind the key."""

    def confirm(self, rows: tuple[Row, ...], source: str, notice: str) -> bool | Move:
        """Show the summary; True to go ahead. `source` is where given rows are from."""

    def tell(self, text: str) -> None:
        """Show that something is under way, without waiting for anybody."""


__all__ = ["AGAIN", "Front", "Move", "Page"]
