"""Finds the seed: what an owner hands to a machine that has no settings yet.

It is the settings, or where a backup is that is to be restored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from firstboot.base.errors import MailsteadError, SettingsError
from firstboot.base.handover import Given
from firstboot.base.paths import Paths
from firstboot.base.restorewish import RestoreOrder, parse_restore
from firstboot.base.settings import IncompleteSettingsError, Settings, parse_settings
from firstboot.base.userdata import find_settings
from firstboot.system.credentials import read_credential
from firstboot.system.volumes import LABEL, Volume, list_volumes, read_file

FILE = "mailstead.yaml"
CREDENTIAL = "mailstead.seed"
# Where cloud-init's data sources NoCloud and ConfigDrive have the user data, by the volume's label.
USER_DATA = {"cidata": "user-data", "config-2": "openstack/latest/user_data"}

# Raises a MailsteadError for settings that this very machine cannot live with.
Admit = Callable[[Settings], None]


@dataclass(frozen=True)
class Seed:
    """Settings as handed over: where they came from, their text, and what it means."""

    source: str
    text: str
    settings: Settings


@dataclass(frozen=True)
class RestoreSeed:
    """A seed that asks for a restore instead: where it came from, and what it asks for."""

    source: str
    order: RestoreOrder


# Fetches what a seed asks for; raises a MailsteadError when that does not work now.
BringBack = Callable[[RestoreSeed], None]


def bring_back_nothing(_seed: RestoreSeed) -> None:
    """For callers that have no restores to give."""
    raise MailsteadError("this machine restores nothing by a seed")


@dataclass(frozen=True)
class Search:
    """One look at every place for a seed: the first good one, and what is wrong elsewhere.

    `given` is the first that is right but leaves questions open; its error is among `errors`.
    `failed`: whether a restore that a seed asks for did not work; its error is among them, too.
    """

    seed: Seed | RestoreSeed | None
    errors: tuple[MailsteadError, ...]
    given: Given = field(default_factory=Given)
    failed: bool = False


class OpenSeedError(SettingsError):
    """A seed that is right as far as it goes, and what it holds."""

    def __init__(self, error: IncompleteSettingsError, source: str) -> None:
        super().__init__(error.problems, "Answer the questions that it leaves open.")
        self.given = Given(source, error.given)


def find_seed(paths: Paths, admit: Admit, bring_back: BringBack = bring_back_nothing) -> Search:
    """Look for a seed in every place, in the order of docs/settings.md.

    The first that can be used wins, so that a wrong one can be put right by adding another. One
    that asks for a restore can be used when `bring_back` has fetched it.
    """
    errors: list[MailsteadError] = []
    failed = False
    for candidate in _candidates(paths):
        if isinstance(candidate, MailsteadError):
            errors.append(candidate)
            continue
        try:
            if isinstance(candidate, RestoreSeed):
                bring_back(candidate)
            else:
                admit(candidate.settings)
        except MailsteadError as error:
            errors.append(error)
            failed = failed or isinstance(candidate, RestoreSeed)
            continue
        return Search(candidate, tuple(errors))
    given = (error.given for error in errors if isinstance(error, OpenSeedError))
    return Search(None, tuple(errors), next(given, Given()), failed)


_Found: TypeAlias = "Seed | RestoreSeed | MailsteadError"


def _candidates(paths: Paths) -> Iterator[_Found]:
    if answered := _handed_over(paths):
        yield answered
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
        if (name := USER_DATA.get(volume.label.lower())) and (
            found := _on_volume(volume, paths, name)
        ):
            yield found
    for volume in volumes:
        if volume.esp and not volume.seed and (found := _on_volume(volume, paths)):
            yield found


def _handed_over(paths: Paths) -> _Found | None:
    """What somebody has answered on the console or in a browser."""
    try:
        content = paths.handed.read_bytes()
    except FileNotFoundError:
        return None
    return _parse(content, "the answers")


def _in_credential(paths: Paths) -> _Found | None:
    try:
        content = read_credential(CREDENTIAL, firmware=paths.firmware)
    except MailsteadError as error:
        return error
    return None if content is None else _parse(content, f"credential {CREDENTIAL}")


def _on_volume(volume: Volume, paths: Paths, name: str = FILE) -> _Found | None:
    try:
        content = read_file(volume, name, runtime=paths.runtime)
    except MailsteadError as error:
        return error
    source = f"{volume.device}/{name}"
    if content is not None and name != FILE:
        return _in_user_data(content, source)
    return None if content is None else _parse(content, source)


def _in_user_data(content: bytes, source: str) -> _Found | None:
    """The settings in user data; None when it is for somebody else, perhaps compressed."""
    try:
        found = find_settings(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return None
    return None if found is None else _parse(found.encode(), source)


def _parse(content: bytes, source: str) -> _Found:
    try:
        # Editors on Windows like to begin a file with a byte order mark.
        text = content.decode("utf-8-sig")
        if order := parse_restore(text, source):
            return RestoreSeed(source, order)
        return Seed(source, text, parse_settings(text, source))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"{source}:{line}: expected text in UTF-8, got another encoding"
        return SettingsError([problem], "Save the file as plain text in UTF-8.")
    except IncompleteSettingsError as error:
        return OpenSeedError(error, source)
    except SettingsError as error:
        return error
