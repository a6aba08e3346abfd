"""Bring mail of other programs, or of an export, into a mailbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from firstboot.vaults.errors import TooLargeError, VaultError
from firstboot.vaults.journal import Journal
from firstboot.vaults.mailbox import Mail, RemoteMailbox
from firstboot.vaults.sources import Item, read_source

REPORT_EACH = 100  # messages

Report = Callable[[str], None]


@dataclass(frozen=True)
class Imported:
    """How many messages were brought in now and before; which were left out, and why."""

    written: int
    before: int
    left_out: Sequence[str]


class _Import:
    """One run: where it goes on, and what it has done."""

    def __init__(self, box: RemoteMailbox, journal: Journal, folder: str | None) -> None:
        self._box = box
        self._journal = journal
        self._folder = folder
        self._made: set[str] = set()
        self.count = int(journal.entries.get("count", 0))
        self.key = str(journal.entries.get("key", ""))
        self.left_out: list[str] = list(journal.entries.get("left_out", []))
        self.left_out_before = len(self.left_out)
        # The answer to the last message of a stopped run may have been lost.
        self._in_doubt = bool(journal.entries)
        if not journal.entries:
            journal.note("count", 0)

    def take(self, item: Item) -> None:
        """Bring one message in, and note it."""
        folder = self._folder or item.folder
        if folder not in self._made:
            self._box.create(folder)
            self._made.add(folder)
        if not item.mail.raw:
            self.left_out.append(f"{item.key}: it is empty")
        elif not (self._in_doubt and self._is_there(folder, item.mail)):
            try:
                self._box.append(folder, item.mail)
            except TooLargeError as error:
                self.left_out.append(f"{item.key}: {error}")
        self._in_doubt = False
        self.count += 1
        self._journal.entries.update(key=item.key, left_out=self.left_out)
        self._journal.note("count", self.count)

    def _is_there(self, folder: str, mail: Mail) -> bool:
        self._box.select(folder)
        uids = self._box.same_size(len(mail.raw))
        return any(found.raw == mail.raw for found in self._box.fetch(uids))


def import_mail(
    box: RemoteMailbox, source: Path, journal: Journal, folder: str | None, report: Report
) -> Imported:
    """Bring all messages of a source in, into `folder` or those of the source. Raises VaultError.

    An import that was stopped goes on: nothing is brought in twice.
    """
    if not source.exists():
        raise VaultError(f"there is no {source}", "Name a file, a Maildir, or a directory.")
    try:
        run = _Import(box, journal, folder)
    except OSError as error:
        raise VaultError(f"cannot note how far it is: {error}", "Name another --record.") from None
    before = run.count
    try:
        for number, item in enumerate(read_source(source), 1):
            if number == before and item.key != run.key:
                raise VaultError(
                    f"{source} has changed since the import was stopped: message {before} was "
                    f"{run.key} and is {item.key}",
                    "Undo the change, or remove the import's record to begin anew.",
                )
            if number > before:
                run.take(item)
                if number % REPORT_EACH == 0:
                    report(f"{number} messages")
    except OSError as error:
        raise VaultError(f"stopped after {run.count} messages: {error}") from None
    journal.remove()
    written = run.count - before - (len(run.left_out) - run.left_out_before)
    return Imported(written, before, run.left_out)
