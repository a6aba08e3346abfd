"""Take a mailbox out, into files that other programs read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from firstboot.vaults.errors import VaultError
from firstboot.vaults.journal import Journal, Mark
from firstboot.vaults.mailbox import Mail, RemoteMailbox
from firstboot.vaults.targets import TARGETS

JOURNAL = ".mailstead-export.json"
BATCH_MESSAGES = 50
BATCH_BYTES = 32 << 20

Report = Callable[[str], None]


@dataclass(frozen=True)
class Exported:
    """How many messages were written now, and how many had been before."""

    written: int
    before: int


def export_mailbox(
    box: RemoteMailbox, address: str, target: Path, form: str, report: Report
) -> Exported:
    """Write what is not there yet of all folders. Raises VaultError.

    An export that was stopped goes on; one that was finished gets what is new.
    """
    try:
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        journal = Journal(target / JOURNAL, f"export of {address} as {form}")
        written = before = 0
        for folder in box.folders():
            uidvalidity, uids = box.select(folder)
            mark = Mark(**journal.entries.get(folder, {}))
            if mark.uidvalidity not in {0, uidvalidity}:
                raise VaultError(
                    f"the folder {folder} is another one than the one in {target}",
                    "Choose another place.",
                )
            mark = Mark(uidvalidity, mark.uid, mark.size)
            wanted = [uid for uid in uids if uid > mark.uid]
            before += len(uids) - len(wanted)
            done = 0
            for mails in _batches(box.fetch(wanted)):
                size = TARGETS[form](target, folder, mark, mails)
                mark = Mark(uidvalidity, mails[-1].uid, size)
                journal.note(folder, asdict(mark))
                done += len(mails)
                report(f"{folder}: {done} of {len(wanted)}")
            written += done
    except OSError as error:
        raise VaultError(f"cannot write to {target}: {error}", "Run it again to go on.") from None
    return Exported(written, before)


def _batches(mails: Iterator[Mail]) -> Iterator[Sequence[Mail]]:
    """Group messages into what is made durable at once."""
    batch: list[Mail] = []
    size = 0
    for mail in mails:
        batch.append(mail)
        size += len(mail.raw)
        if len(batch) >= BATCH_MESSAGES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
