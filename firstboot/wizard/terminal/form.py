"""A step as a form: a field for each question, its remarks below, all of it a list that scrolls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import urwid

from firstboot.base.questions.model import Choice, Kind, Question
from firstboot.wizard.flow import choices
from firstboot.wizard.terminal.page import AGAIN, Page

# Made of what every terminal has.
_MARKS = {True: "(*)", False: "( )"}


class _Option(urwid.RadioButton):  # type: ignore[misc]
    """One of several answers; Space or Enter chooses it."""

    states = {state: urwid.SelectableIcon(mark, 1) for state, mark in _MARKS.items()}  # noqa: RUF012

    def __init__(self, group: list[Any], choice: Choice, *, chosen: bool) -> None:
        super().__init__(group, choice.title, state=chosen)
        self.choice = choice


class Field:
    """What stands on the form for one question; `help` may differ from row to row."""

    def __init__(self, page: Page, question: Question) -> None:
        self.question = question
        self.rows: list[Any] = []
        self.selectable: list[Any] = []
        self._options: list[_Option] = []
        self._edits: dict[str, Any] = {}
        if question.kind in (Kind.CHOICE, Kind.YES_NO):
            self._add_options(page)
        elif question.kind is Kind.PASSWORD:
            self._add_edit(question.key, "  Password   > ", "", mask="*")
            self._add_edit(question.key + AGAIN, "  Once more  > ", "", mask="*")
        elif question.kind is Kind.SECRET:
            self._add_edit(question.key, "  > ", "", mask="*")
        else:
            self._add_edit(question.key, "  > ", page.preset(question))

    def typed(self) -> dict[str, str]:
        """What the field holds, by key."""
        if self._options or not self._edits:
            chosen = [option.choice.value for option in self._options if option.state]
            return {self.question.key: chosen[0] if chosen else ""}
        return {key: str(edit.edit_text) for key, edit in self._edits.items()}

    def help(self, widget: Any) -> str:
        """What to show while the cursor is on one of the field's rows."""
        inner = widget.base_widget
        own = inner.choice.help if isinstance(inner, _Option) else ""
        return f"{own} {self.question.help}".strip() if own else self.question.help

    def _add_options(self, page: Page) -> None:
        preset = page.preset(self.question)
        group: list[Any] = []
        for choice in choices(self.question, page.flow.context):
            option = _Option(group, choice, chosen=choice.value == preset)
            self._options.append(option)
            row = urwid.Padding(urwid.AttrMap(option, None, "focus"), left=2)
            self._add(row)

    def _add_edit(self, key: str, caption: str, text: str, mask: str | None = None) -> None:
        edit = urwid.Edit(caption, text, mask=mask)
        self._edits[key] = edit
        self._add(urwid.AttrMap(edit, "field", "focus"))

    def _add(self, row: Any) -> None:
        self.rows.append(row)
        self.selectable.append(row)


class Form:
    """All fields of a page; `keypress` returns what the form itself has no use for."""

    def __init__(self, page: Page) -> None:
        self.fields = [Field(page, question) for question in page.questions]
        rows: list[Any] = [urwid.Text(page.step.text), urwid.Divider()]
        if page.notice:
            rows = [urwid.Text(("remark", f"* {page.notice}")), urwid.Divider(), *rows]
        self._owners: dict[int, Field] = {}
        first = wrong = 0
        for field in self.fields:
            question = field.question
            can_be_empty = question.optional and question.kind is not Kind.CHOICE
            optional = "  (may stay empty)" if can_be_empty else ""
            rows.append(urwid.Text([("strong", question.text), optional]))
            start = len(rows)
            first = first or start
            for row in field.rows:
                self._owners[len(rows)] = field
                rows.append(row)
            if question.kind.is_hidden and page.has_password(question):
                what = "both" if question.kind is Kind.PASSWORD else "this"
                keeps = f"  Leave {what} empty to keep the one that you chose before."
                rows.append(urwid.Text(keeps))
            for text in page.remarks(question):
                rows.append(_remark(text))
                wrong = wrong or start
            rows.append(urwid.Divider())
        # The last empty line would only make a page scroll that fits.
        self.rows = rows[:-1]
        # What is empty or wrong is where the person goes on.
        # By the walker, since the list itself would put the cursor in front of what stands there.
        self._walker = urwid.SimpleFocusListWalker(self.rows)
        self.list = urwid.ListBox(self._walker)
        self._walker.set_focus(wrong or self._first_empty() or first)

    @property
    def focused(self) -> Field:
        return self._owners[self.list.focus_position]

    @property
    def help(self) -> str:
        return self.focused.help(self.list.focus) if self._owners else ""

    def typed(self) -> Mapping[str, str]:
        """What all the fields hold."""
        return {key: text for field in self.fields for key, text in field.typed().items()}

    def keypress(self, size: tuple[int, int], key: str) -> str | None:
        """Handle a key; `enter` comes back when the form is to be submitted."""
        if key == "enter":
            return self._enter()
        if key in ("tab", "shift tab"):
            self._move(1 if key == "tab" else -1)
            return None
        left: str | None = self.list.keypress(size, key)
        # At the ends the list has no use for the arrows, and neither has anybody else.
        return None if left in ("up", "down", "page up", "page down") else left

    def _enter(self) -> str | None:
        inner = self.rows[self.list.focus_position].base_widget
        if isinstance(inner, _Option):
            inner.set_state(True)
            positions = [at for at, field in self._owners.items() if field is self.focused]
            return None if self._go(max(positions) + 1) else "enter"
        return None if self._go(self.list.focus_position + 1) else "enter"

    def _move(self, by: int) -> None:
        present = self.list.focus_position
        if by > 0:
            self._go(present + 1)
        elif earlier := [at for at in self._owners if at < present]:
            self._walker.set_focus(max(earlier))

    def _go(self, least: int) -> bool:
        """Put the cursor on the first field from a row on; False when there is none."""
        later = [at for at in self._owners if at >= least]
        if later:
            self._walker.set_focus(min(later))
        return bool(later)

    def _first_empty(self) -> int:
        for position, field in self._owners.items():
            texts = field.typed().values()
            if not any(texts) and not field.question.optional:
                return position
        return 0


def _remark(text: str) -> Any:
    return urwid.Padding(urwid.Text(("remark", f"! {text}")), left=2)
