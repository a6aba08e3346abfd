"""Changing single values of the settings that a machine keeps.

A change is read, made, checked as a whole and written in one step, so that a file that is wrong
never comes to be, whenever the power goes. Keys that this version does not know are kept: its
neighbour may have written them. Comments are not.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from firstboot.base.errors import SettingsError
from firstboot.base.files import write_atomic
from firstboot.base.located import Place, Plain, place_name, read_located
from firstboot.base.settings import Settings, parse_settings

# What stands where nobody but the machine needs to see what it is.
HIDDEN = "(hidden)"
SECRET_KEYS = ("password_hash", "publish_secret", "dns_environment", "password")
_SOURCE = "settings"
_KEY = re.compile(r"[a-z_]+(\[\d{1,4}\])*(\.[a-z_]+(\[\d{1,4}\])*)*", re.ASCII)


@dataclass(frozen=True)
class Change:
    """A new value for a place; with `remove`, the place goes, and its default counts again."""

    place: Place
    value: Plain = None
    remove: bool = False


def parse_place(key: str) -> Place:
    """`people[0].name` → ('people', 0, 'name'), as in messages; SettingsError for anything else."""
    if not _KEY.fullmatch(key):
        raise SettingsError(
            [f"{key!r}: expected a key such as updates.window or people[0].name"],
            "`mailstead settings show` shows all keys that are set.",
        )
    parts = re.findall(r"[a-z_]+|\d+", key)
    return tuple(int(part) if part.isdigit() else part for part in parts)


def parse_value(text: str, key: str) -> Plain:
    """A value as it would stand behind the key in the file; SettingsError when it is not YAML."""
    if not text.strip():
        return ""
    document = read_located(text)
    if document.problems:
        raise SettingsError([f"{key}: {problem.text}" for problem in document.problems])
    return document.value


def read_plain(path: Path) -> dict[str, Plain]:
    """All that the file says, known keys and unknown ones; SettingsError when it is unreadable."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(
            ["this machine has not been set up yet"], "Its console says what it is waiting for."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: cannot be read: {error}"], "Be root.") from None
    document = read_located(text)
    if document.problems or not isinstance(document.value, dict):
        problems = document.shown(str(path)) or [f"{path}:1: expected keys and values"]
        raise SettingsError(problems)
    return document.value


# From what the file says to what is to be changed in it.
Edit = Callable[[Mapping[str, Plain]], Sequence[Change]]


def change_settings(path: Path, changes: Sequence[Change] | Edit, *, lock: Path) -> Settings:
    """Make all of `changes` in the settings at `path`, or none.

    They may depend on what the file says. Returns the settings as they are then. Raises
    SettingsError when they would be wrong; nothing has changed then. `lock` is a file that keeps
    two that change them apart.
    """
    with alone(lock):
        found = read_plain(path)
        value: Plain = found
        for change in changes(found) if callable(changes) else changes:
            value = _changed(value, change, ())
        text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)
        try:
            settings = parse_settings(text, _SOURCE)
        except SettingsError as error:
            # The lines are of a file that never was.
            problems = [re.sub(rf"^{_SOURCE}:\d+: ", "", line) for line in error.problems]
            raise SettingsError(problems, "Nothing was changed.") from None
        write_atomic(path, text, mode=0o600)
    return settings


def value_at(value: Plain, place: Place) -> Plain:
    """The value at a place; SettingsError when nothing is set there."""
    for index, part in enumerate(place):
        match value:
            case dict() if part in value:
                value = value[str(part)]
            case tuple() if isinstance(part, int) and part < len(value):
                value = value[part]
            case _:
                missing = place_name(place[: index + 1])
                raise SettingsError(
                    [f"{missing}: nothing is set there"],
                    "`mailstead settings show --defaults` shows all keys.",
                )
    return value


def without_secrets(value: Plain, key: str | int = "") -> Plain:
    """The same with `(hidden)` in place of password hashes and other secrets."""
    if key in SECRET_KEYS and value:
        return HIDDEN
    if isinstance(value, dict):
        return {name: without_secrets(item, name) for name, item in value.items()}
    if isinstance(value, tuple):
        return tuple(without_secrets(item) for item in value)
    return value


def _changed(value: Plain, change: Change, above: Place) -> Plain:
    """A copy of `value`, found at `above`, in which the change is made."""
    if above == change.place:
        return change.value
    part = change.place[len(above)]
    below = (*above, part)
    if isinstance(part, int):
        return _changed_list(value, change, above, part)
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise SettingsError([f"{place_name(above)}: has no key {part!r}"])
    if below == change.place and change.remove:
        return {name: item for name, item in value.items() if name != part}
    return {**value, part: _changed(value.get(part), change, below)}


def _changed_list(value: Plain, change: Change, above: Place, index: int) -> Plain:
    items = list(value) if isinstance(value, tuple) else []
    if not isinstance(value, tuple | None) or index > len(items) - change.remove:
        count = f"{len(items)} entries" if isinstance(value, tuple) else "no list"
        raise SettingsError([f"{place_name((*above, index))}: there is no such entry ({count})"])
    if (*above, index) == change.place and change.remove:
        del items[index]
    else:
        before = items[index] if index < len(items) else None
        items[index : index + 1] = [_changed(before, change, (*above, index))]
    return tuple(items)


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold a lock that the kernel gives back however the process ends (flock(2))."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
