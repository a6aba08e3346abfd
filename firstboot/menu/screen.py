"""What the menu looks like: lines of text from data, for any size; nothing here reads or writes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from firstboot.menu.actions import Entry, Menu, Text

PROMPT = "Press a key; ? and a key explains it."
PLAIN_PROMPT = "Type a letter or digit and Enter; ? explains all: "
MARGIN = 2


def menu_lines(
    menu: Menu, above: Sequence[str], *, selected: int, size: tuple[int, int]
) -> list[str]:
    """The screen of a menu, at most as large as `size` (columns, rows).

    Title, what stands above the entries, the entries, the help of the selected one, the prompt.
    Where not all of it fits, what stands above is cut, and then the entries are scrolled.
    """
    columns, rows = size
    # Title and its line above; a blank line, the help and the prompt below.
    room = rows - 5
    kept = list(above)[: max(0, room - len(menu.entries) - 1)]
    if kept:
        kept.append("")
    shown = max(1, room - len(kept))
    first = max(0, min(selected - shown + 1, len(menu.entries) - shown))
    entries = [
        entry_line(entry, mark=number == selected) for number, entry in enumerate(menu.entries)
    ][first : first + shown]
    lines = [menu.title, "=" * len(menu.title), *kept, *entries, ""]
    lines += [first_sentence(menu.entries[selected].help), PROMPT]
    return [line[: columns - 1] for line in lines]


def plain_lines(menu: Menu, above: Sequence[str]) -> list[str]:
    """The same for a terminal that only prints lines."""
    entries = [f"  {entry.key}  {entry.title}" for entry in menu.entries]
    return ["", menu.title, "", *above, *([""] if above else []), *entries, ""]


def entry_line(entry: Entry, *, mark: bool) -> str:
    """One entry; the selected one has a mark that is seen without colour, too."""
    return f" {'>' if mark else ' '} {entry.key}   {entry.title}"


def help_lines(entries: Iterable[Entry], columns: int) -> list[str]:
    """What each of the entries is for."""
    lines: list[str] = []
    for entry in entries:
        lines += [f"{entry.key}  {entry.title}", *wrapped(entry.help, columns, indent=3), ""]
    return lines


def text_lines(text: Text, columns: int) -> list[str]:
    """Paragraphs with blank lines between them."""
    lines: list[str] = []
    for paragraph in text.paragraphs:
        lines += [*wrapped(paragraph, columns), ""]
    return lines


def pages_of(lines: Sequence[str], size: tuple[int, int]) -> list[list[str]]:
    """Lines in pages that leave room for a prompt; longer lines are broken, none is lost."""
    columns, rows = size
    broken: list[str] = []
    for line in lines:
        text = line.expandtabs().rstrip()
        step = columns - 1
        broken += [text[start : start + step] for start in range(0, len(text), step)] or [""]
    room = rows - 2
    return [broken[start : start + room] for start in range(0, len(broken), room)] or [[]]


def first_sentence(text: str) -> str:
    """Up to the first full stop that ends a sentence."""
    return text.partition(". ")[0].rstrip(".") + "."


def wrapped(text: str, columns: int, *, indent: int = 0) -> list[str]:
    space = " " * indent
    return textwrap.wrap(
        text,
        columns - MARGIN,
        initial_indent=space,
        subsequent_indent=space,
        break_on_hyphens=False,
    )
