"""The menu as somebody uses it: a key, what it does, and back to the menu."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from firstboot.base.run import Completed, run
from firstboot.menu import screen
from firstboot.menu.actions import Action, Command, Helps, Leave, Menu, Text
from firstboot.menu.entries import MAIN
from firstboot.system.keyboard import DOWN, ENTER, ESCAPE, GONE, IDLE, UP, Terminal, this_terminal

# A console that somebody walked away from is closed.
IDLE_SECONDS = 600.0
MAILSTEAD = "mailstead"
EXPLAIN = "?"

# Why a menu was left: by its owner, because nobody was there, or because the terminal has gone.
Left = Literal["left", "idle", "gone"]
# Runs `mailstead WORDS`, on our terminal or to be shown in pages.
Runner = Callable[[Sequence[str], bool], Completed]


def run_mailstead(words: Sequence[str], capture: bool) -> Completed:
    """What a menu does: the command that a person would type."""
    return run([MAILSTEAD, *words], capture=capture, check=False)


@dataclass(frozen=True)
class Session:
    """Somebody at a terminal."""

    terminal: Terminal
    runner: Runner = run_mailstead
    idle_seconds: float | None = IDLE_SECONDS

    def visit(self, menu: Menu) -> Left:
        """Show a menu until it is left."""
        selected, left = 0, _why("")
        above = self._output(menu.shows)
        keys = [entry.key for entry in menu.entries]
        while left == "left":
            self._draw(menu, above, selected, screen.PROMPT)
            key = self.terminal.key(self.idle_seconds)
            if key == ENTER and not self.terminal.plain:
                key = keys[selected]
            if key in {IDLE, GONE, ESCAPE}:
                return _why(key)
            if key in {UP, DOWN}:
                selected = (selected + (1 if key == DOWN else -1)) % len(keys)
            elif key == EXPLAIN:
                left = self._explain(menu, above, selected)
            elif key in keys:
                selected = keys.index(key)
                action = menu.entries[selected].action
                if isinstance(action, Leave):
                    return "left"
                left = self._act(action, menu)
                above = self._output(menu.shows)
        return left

    def _explain(self, menu: Menu, above: Sequence[str], selected: int) -> Left:
        """What one entry is for, by its key; on a plain terminal, all of them."""
        chosen = list(menu.entries)
        if not self.terminal.plain:
            self._draw(menu, above, selected, "Which key shall be explained? ")
            key = self.terminal.key(self.idle_seconds)
            if key in {IDLE, GONE}:
                return _why(key)
            chosen = [entry for entry in menu.entries if entry.key == key] or chosen
        return self._pages(screen.help_lines(chosen, self._columns))

    @property
    def _columns(self) -> int:
        return self.terminal.size[0]

    def _act(self, action: Action, menu: Menu) -> Left:
        match action:
            case Menu():
                return self.visit(action)
            case Text():
                return self._pages(screen.text_lines(action, self._columns))
            case Helps():
                return self._pages(screen.help_lines(menu.entries, self._columns))
            case Command():
                return self._command(action)
            case Leave():
                return "left"

    def _command(self, command: Command) -> Left:
        self.terminal.clear()
        answers: list[str] = []
        for question in command.questions:
            self.terminal.write(f"{question}\n(Enter alone: change nothing)\n> ")
            answer = self.terminal.line(self.idle_seconds)
            if answer in {IDLE, GONE}:
                return _why(answer)
            if not answer.strip():
                return "left"
            answers.append(answer)
        words = command.fill(answers)
        try:
            done = self.runner(words, command.pages)
        except KeyboardInterrupt:
            return _why(self._wait("\nstopped\n"))
        if command.pages:
            return self._pages(f"{done.stdout}{done.stderr}".splitlines())
        return _why(self._wait("\n"))

    def _output(self, words: Sequence[str]) -> list[str]:
        """What a command prints, to stand above the entries of a menu."""
        if not words:
            return []
        done = self.runner(words, True)
        return [line.rstrip() for line in f"{done.stdout}{done.stderr}".splitlines()]

    def _draw(self, menu: Menu, above: Sequence[str], selected: int, prompt: str) -> None:
        if self.terminal.plain:
            self.terminal.write("\n".join(screen.plain_lines(menu, above)))
            self.terminal.write(f"\n{screen.PLAIN_PROMPT}")
            return
        lines = screen.menu_lines(menu, above, selected=selected, size=self.terminal.size)
        mark = screen.entry_line(menu.entries[selected], mark=True)
        shown = [self.terminal.marked(line) if line == mark else line for line in lines]
        shown[-1] = prompt
        self.terminal.clear()
        self.terminal.write("\n".join(shown))

    def _pages(self, lines: Sequence[str]) -> Left:
        """Show lines page by page; q leaves out the rest."""
        pages = screen.pages_of(lines, self.terminal.size)
        for number, page in enumerate(pages, start=1):
            self.terminal.clear()
            self.terminal.write("\n".join([*page, ""]))
            more = number < len(pages)
            key = self._wait(f"Page {number} of {len(pages)}; q leaves. " if more else "")
            if key in {IDLE, GONE}:
                return _why(key)
            if key in {"q", ESCAPE}:
                break
        return "left"

    def _wait(self, before: str = "") -> str:
        what = "Enter" if self.terminal.plain else "a key"
        self.terminal.write(f"{before}Press {what} to go on. ")
        return self.terminal.key(self.idle_seconds)


def _why(key: str) -> Left:
    return "idle" if key == IDLE else "gone" if key == GONE else "left"


def run_menu(hostname: str, *, idle_end: bool = True) -> Left:
    """The main menu on this process's terminal, until it is left; asks for no password."""
    title = f"{MAIN.title}  {hostname}"
    session = Session(this_terminal(), idle_seconds=IDLE_SECONDS if idle_end else None)
    left: Left = "left"
    with contextlib.suppress(KeyboardInterrupt):
        left = session.visit(replace(MAIN, title=title))
    session.terminal.clear()
    return left
