"""Screens for 80 columns and 24 rows, drawn by urwid, which sends only what has changed."""

from __future__ import annotations

import select
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

import urwid
from urwid.display import raw

from firstboot.base.errors import MailsteadError
from firstboot.wizard.flow import Row
from firstboot.wizard.terminal.form import Form
from firstboot.wizard.terminal.page import Move, Page

# Names, foreground and background in colour, and what stands for them without.
_PALETTE = (
    ("bar", "white", "dark blue", "standout"),
    ("strong", "white,bold", "default", "bold"),
    ("field", "default", "default", "default"),
    ("focus", "black", "light gray", "standout"),
    ("remark", "yellow,bold", "default", "bold"),
    ("dim", "light gray", "default", "default"),
)
HELP_ROWS = 4
LEAST_COLUMNS, LEAST_ROWS = 60, 16
# How soon it is noticed that the setup was finished elsewhere.
POLL_SECONDS = 1.0
# Enough for a slow line to bring the rest of a key's sequence.
SEQUENCE_SECONDS = 0.15
_KEYS = "Enter next   Tab/arrows move   Space choose   Esc back   Ctrl-C leave"
_KEYS_SUMMARY = "Enter set up this machine   arrows scroll   Esc back   Ctrl-C leave"
_MOVES = {"esc": Move.BACK, "ctrl b": Move.BACK, "ctrl c": Move.LEAVE, "ctrl d": Move.LEAVE}


class TooSmallError(MailsteadError):
    """The terminal has no room for a screen."""

    exit_code = 8


class ScreenFront:
    """Asks by screens on a terminal given by two files; use it with `with`."""

    def __init__(
        self,
        source: TextIO,
        target: TextIO,
        *,
        colour: bool = False,
        is_overtaken: Callable[[], bool] = lambda: False,
    ) -> None:
        self.is_overtaken = is_overtaken
        self._screen: Any = raw.Screen(input=source, output=target)
        self._screen.set_terminal_properties(colors=16 if colour else 1)
        for name, front, back, plain in _PALETTE:
            self._screen.register_palette_entry(name, front, back, plain)
        self._shown: Any = None

    def __enter__(self) -> ScreenFront:
        # Otherwise it would draw from where the cursor happens to be.
        self._screen.start(alternate_buffer=True)
        # Keys that would end a program are keys like others.
        self._screen.tty_signal_keys(*["undefined"] * 5)
        self._screen.clear()
        columns, rows = self._size()
        if columns < LEAST_COLUMNS or rows < LEAST_ROWS:
            self._screen.stop()
            raise TooSmallError(
                f"the terminal has {columns} columns and {rows} rows, a screen needs "
                f"{LEAST_COLUMNS} and {LEAST_ROWS}"
            )
        return self

    def __exit__(self, *_error: object) -> None:
        self._screen.stop()
        # Whatever comes next begins on an empty screen.
        self._screen.write("\x1b[2J\x1b[H")
        self._screen.flush()

    def ask(self, page: Page) -> Mapping[str, str] | Move:
        form = Form(page)
        while True:
            help_text = urwid.Text(("dim", form.help))
            key = self._run(
                self._frame(page.heading, page.place, form.list, help_text, _KEYS), form
            )
            if isinstance(key, Move):
                return key
            if key == "enter":
                return form.typed()

    def confirm(self, rows: tuple[Row, ...], source: str, notice: str) -> bool | Move:
        lines: list[Any] = (
            [urwid.Text(("remark", f"! {notice}")), urwid.Divider()] if notice else []
        )
        named = max(len(row.step.title) for row in rows)
        width = max(len(row.question.title) for row in rows)
        above = None
        for row in rows:
            step = row.step.title if row.step is not above else ""
            mark = "  (from the seed)" if row.given else ""
            cells = [
                (named, urwid.Text(("strong", step))),
                (width, urwid.Text(row.question.title)),
                urwid.Text(f"{row.shown}{mark}"),
            ]
            lines.append(urwid.Columns(cells, dividechars=2))
            above = row.step
        seed = f" What is marked comes from {source}." if source else ""
        footer = urwid.Text(
            "Nothing has been changed yet. Enter sets the machine up like this; it takes a few "
            f"minutes.{seed}"
        )
        # A list without anything to choose scrolls by the arrows.
        body = urwid.ListBox(urwid.SimpleListWalker(lines))
        while True:
            frame = self._frame("Setup: Summary", "last step", body, footer, _KEYS_SUMMARY)
            key = self._run(frame, body)
            if key == "enter":
                return True
            if isinstance(key, Move):
                return key

    def tell(self, text: str) -> None:
        """Show what is under way in the last line of the page that is there."""
        if self._shown is not None:
            self._shown.footer = urwid.AttrMap(urwid.Text(f" {text}"), "bar")
            self._draw()

    def _run(self, frame: Any, body: Any) -> str | Move:
        """Show a frame until a key says something; a key that only moves counts, too."""
        self._shown = frame
        self._draw()
        while True:
            keys = self._keys()
            if self.is_overtaken():
                return Move.OVERTAKEN
            for key in keys:
                if key in ("ctrl l", "window resize"):
                    # Other messages may have been written over it.
                    self._screen.clear()
                elif key in _MOVES:
                    return _MOVES[key]
                elif body.keypress(self._body_size(frame), key) == "enter":
                    return "enter"
            if keys:
                return ""

    def _keys(self) -> list[str]:
        """The keys that were pressed, none when nobody did for a while."""
        descriptors = self._screen.get_input_descriptors()
        select.select(descriptors, [], [], POLL_SECONDS)
        codes = self._screen.get_available_raw_input()
        keys, taken = self._screen.parse_input(None, None, codes)
        if len(taken) < len(codes):
            # Escape alone, or the beginning of what another key sends.
            select.select(descriptors, [], [], SEQUENCE_SECONDS)
            rest = self._screen.get_available_raw_input()
            keys += self._screen.parse_input(None, None, rest, wait_for_more=False)[0]
        return [key for key in keys if isinstance(key, str)]

    def _draw(self) -> None:
        size = self._size()
        self._screen.draw_screen(size, self._shown.render(size, focus=True))

    def _frame(self, title: str, place: str, body: Any, help_text: Any, keys: str) -> Any:
        bar = urwid.Columns(
            [urwid.Text(f" Mailstead   {title}"), ("pack", urwid.Text(f"{place} "))]
        )
        header = urwid.Pile([urwid.AttrMap(bar, "bar"), urwid.Divider()])
        rule = urwid.Text("", wrap="clip")
        below = urwid.Pile(
            [
                rule,
                urwid.BoxAdapter(urwid.Padding(urwid.Filler(help_text, "top"), left=1), HELP_ROWS),
                urwid.AttrMap(urwid.Text(f" {keys}", wrap="clip"), "bar"),
            ]
        )
        frame = urwid.Frame(urwid.Padding(body, left=1, right=1), header, below)
        rule.set_text(self._rule(body.ends_visible(self._body_size(frame), focus=True)))
        return frame

    def _rule(self, visible: Sequence[str]) -> str:
        """The line below a list, which says where there is more of it than can be seen."""
        sides = [
            side for end, side in (("top", "above"), ("bottom", "below")) if end not in visible
        ]
        told = f" more {' and '.join(sides)}: arrows " if sides else ""
        return f"{told}---".rjust(self._size()[0], "-")

    def _body_size(self, frame: Any) -> tuple[int, int]:
        columns, rows = self._size()
        taken = sum(part.rows((columns,)) for part in (frame.header, frame.footer))
        return columns - 2, max(1, rows - taken)

    def _size(self) -> tuple[int, int]:
        columns, rows = self._screen.get_cols_rows()
        # A serial line does not say how large the terminal at its end is.
        return (columns, rows) if columns > 0 and rows > 0 else (80, 24)
