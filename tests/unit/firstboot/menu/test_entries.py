"""The menu's content: every entry has what it needs, and does what there is."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstboot.base.located import read_located
from firstboot.cli import mailstead
from firstboot.menu import screen
from firstboot.menu.actions import Answer, Command, Entry, Leave, Menu, Text
from firstboot.menu.entries import MAIN

SIZE = (80, 24)


def menus(menu: Menu = MAIN) -> Iterator[Menu]:
    """A menu and all below it."""
    yield menu
    for entry in menu.entries:
        if isinstance(entry.action, Menu):
            yield from menus(entry.action)


ALL = tuple(menus())
ENTRIES: tuple[Entry, ...] = tuple(entry for menu in ALL for entry in menu.entries)


def understood(words: tuple[str, ...]) -> str:
    """The name of the command that these words reach; raises for what the command line refuses."""
    command: click.Command = mailstead
    context = click.Context(mailstead, info_name="mailstead")
    rest = list(words)
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert name is not None
        assert found is not None
        command = found
        if isinstance(command, click.Group):
            context = click.Context(command, parent=context, info_name=name)
    command.make_context(words[-1], rest, parent=context)
    return command.name or ""


def commands() -> Iterator[tuple[str, ...]]:
    for menu in ALL:
        if menu.shows:
            yield menu.shows
    for entry in ENTRIES:
        if isinstance(entry.action, Command):
            yield entry.action.fill(["1"] * len(entry.action.questions))


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_entry_runs_a_command_that_there_is(words: tuple[str, ...]) -> None:
    assert understood(words) in words


def test_the_test_sees_what_the_command_line_refuses() -> None:
    for words in (("nothing",), ("disk", "nothing"), ("status", "--nothing"), ("disk",)):
        with pytest.raises((click.UsageError, AssertionError, IndexError)):
            understood(words)


@pytest.mark.parametrize("menu", ALL, ids=lambda menu: menu.title)
def test_keys_are_single_and_each_menu_can_be_left(menu: Menu) -> None:
    keys = [entry.key for entry in menu.entries]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 1 and key.isascii() and key.isalnum() for key in keys)
    last = menu.entries[-1]
    assert (last.key, type(last.action)) == ("q", Leave)


@pytest.mark.parametrize("menu", ALL, ids=lambda menu: menu.title)
def test_each_screen_fits_a_terminal_of_the_smallest_kind(menu: Menu) -> None:
    above = [f"key{number}: value" for number in range(7)]
    for selected in range(len(menu.entries)):
        lines = screen.menu_lines(menu, above, selected=selected, size=SIZE)
        assert len(lines) <= SIZE[1]
        assert all(len(line) < SIZE[0] for line in lines)
        for entry in menu.entries:
            assert any(f" {entry.key}   {entry.title}" in line for line in lines)
        assert lines[-1] == screen.PROMPT


def test_all_words_are_plain() -> None:
    for entry in ENTRIES:
        texts = [entry.title, entry.help]
        if isinstance(entry.action, Text):
            texts += entry.action.paragraphs
        if isinstance(entry.action, Command):
            texts += entry.action.questions
        assert all(text.isascii() and text.isprintable() for text in texts)
        assert entry.help.endswith(".")
        assert len(screen.first_sentence(entry.help)) < SIZE[0]


def test_the_entries_of_the_reference_are_there() -> None:
    titles = [entry.title for entry in MAIN.entries]
    assert [title for title in titles if title in REFERENCE] == REFERENCE


REFERENCE = [
    "Initial setup",
    "Set up backups",
    "Set up auto upgrades",
    "Renew certificates",
    "Restore from backup",
    "Help",
    "Exit",
]


def test_more_entries_than_rows_are_scrolled() -> None:
    for selected, entry in enumerate(MAIN.entries):
        lines = screen.menu_lines(MAIN, ["above"], selected=selected, size=(40, 10))
        assert len(lines) <= 10
        assert any(line.startswith(f" > {entry.key}") for line in lines)


def test_pages_lose_nothing() -> None:
    lines = [f"{number}-" + "x" * number for number in range(200)]
    pages = screen.pages_of(lines, SIZE)
    assert all(len(page) <= 22 and all(len(line) < 80 for line in page) for page in pages)
    assert "".join("".join(page) for page in pages) == "".join(lines)
    assert screen.pages_of([], SIZE) == [[]]


@given(st.text())
def test_no_answer_breaks_out_of_its_value(text: str) -> None:
    for kind in ("text", "list"):
        value = read_located(Answer(0, kind).fill([text])).value
        wanted = text.strip()
        if all(character.isprintable() for character in wanted):
            assert value == (wanted if kind == "text" else tuple(wanted.replace(",", " ").split()))
