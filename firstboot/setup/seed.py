"""Finds the seed: the settings that an owner hands to a machine that has none yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from firstboot.base.errors import MailsteadError, SettingsError
from firstboot.base.paths import Paths
from firstboot.base.settings import Settings, parse_settings
from firstboot.system.credentials import read_credential
from firstboot.system.volumes import LABEL, Volume, list_volumes, read_file

FILE = "mailstead.yaml"
CREDENTIAL = "mailstead.seed"

# Raises a MailsteadError for settings that this very machine cannot live with.
Admit = Callable[[Settings], None]


@dataclass(frozen=True)
class Seed:
    """Settings as handed over: where they came from, their text, and what it means."""

    source: str
    text: str
    settings: Settings


@dataclass(frozen=True)
class Search:
    """One look at every place for a seed: the first good one, and what is wrong elsewhere."""

    seed: Seed | None
    errors: tuple[MailsteadError, ...]


def find_seed(paths: Paths, admit: Admit) -> Search:
    """Look for a seed in the credential, on volumes labelled MAILSTEAD, on the ESP, in this order.

    The first that can be used wins, so that a wrong one can be put right by adding another.
    """
    errors: list[MailsteadError] = []
    for candidate in _candidates(paths):
        if isinstance(candidate, Seed):
            try:
                admit(candidate.settings)
            except MailsteadError as error:
                errors.append(error)
                continue
            return Search(candidate, tuple(errors))
        errors.append(candidate)
    return Search(None, tuple(errors))


def _candidates(paths: Paths) -> Iterator[Seed | MailsteadError]:
    if handed := _in_credential(paths):
        yield handed
    try:
        volumes = list_volumes()
    except MailsteadError as error:
        yield error
        return
    for volume in volumes:
        if volume.seed:
            yield _on_volume(volume, paths) or MailsteadError(
                f"volume {LABEL} ({volume.device}) has no file {FILE}",
                f"Put the settings into a file called {FILE} at its top level.",
            )
    for volume in volumes:
        if volume.esp and not volume.seed and (found := _on_volume(volume, paths)):
            yield found


def _in_credential(paths: Paths) -> Seed | MailsteadError | None:
    try:
        content = read_credential(CREDENTIAL, firmware=paths.firmware)
    except MailsteadError as error:
        return error
    return None if content is None else _parse(content, f"credential {CREDENTIAL}")


def _on_volume(volume: Volume, paths: Paths) -> Seed | MailsteadError | None:
    try:
        content = read_file(volume, FILE, runtime=paths.runtime)
    except MailsteadError as error:
        return error
    return None if content is None else _parse(content, f"{volume.device}/{FILE}")


def _parse(content: bytes, source: str) -> Seed | MailsteadError:
    try:
        # Editors on Windows like to begin a file with a byte order mark.
        text = content.decode("utf-8-sig")
        return Seed(source, text, parse_settings(text, source))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"{source}:{line}: expected text in UTF-8, got another encoding"
        return SettingsError([problem], "Save the file as plain text in UTF-8.")
    except SettingsError as error:
        return error
