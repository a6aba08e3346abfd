"""The persistent formats that have a version: where it stands in a file, and who reads such files.

One entry for each row of the table in docs/state.md that has a version; a test compares them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.errors import MailsteadError
from firstboot.base.paths import Paths
from firstboot.base.renewal import read_renewal
from firstboot.base.settings import parse_settings
from firstboot.base.state import claim_state
from firstboot.disk.places import Places
from firstboot.disk.recovery import read_record
from firstboot.update.automatic import read_schedule
from firstboot.update.history import read_history
from firstboot.wizard.draft import read_draft
from postmaster.crypto import FileKeyStore, PersonId
from postmaster.errors import PostmasterError
from postmaster.storage.vault import Vault


@dataclass(frozen=True)
class Format:
    """How to find a file's version, change it, and read the file as the appliance does.

    `read` returns something empty, or raises an error of ours, when it cannot use the file.
    """

    row: str
    version: Callable[[Path], int]
    renumber: Callable[[Path, int], None]
    read: Callable[[Path], object]

    def opens(self, file: Path) -> bool:
        """Whether the present code can use the file."""
        try:
            return bool(self.read(file))
        except (MailsteadError, PostmasterError):
            return False


def _text(row: str, pattern: str, read: Callable[[Path], object]) -> Format:
    """A text file in which the first match of `pattern` is what stands before the version."""
    found = re.compile(rf"({pattern})(\d+)", re.MULTILINE)

    def version(file: Path) -> int:
        match = found.search(file.read_text(encoding="utf-8"))
        assert match is not None, f"{file} has no version"
        return int(match[2])

    def renumber(file: Path, number: int) -> None:
        text = file.read_text(encoding="utf-8")
        file.write_text(found.sub(rf"\g<1>{number}", text, count=1), encoding="utf-8")

    return Format(row, version, renumber, read)


def _read_settings(file: Path) -> object:
    return parse_settings(file.read_text(encoding="utf-8"), str(file))


def _read_format(file: Path) -> object:
    claim_state(file)
    return file


def _read_disk(file: Path) -> object:
    return read_record(Places(dataclasses.replace(Paths(), state_partition=file.parent)))


def _read_draft(file: Path) -> object:
    places = dataclasses.replace(Paths(), state_partition=file.parents[1], runtime=file.parent)
    return read_draft(places).done


def _read_renewal(file: Path) -> object:
    return read_renewal(file).failures


def _read_key(file: Path) -> object:
    return FileKeyStore(file.parent).load(PersonId(file.stem))


def _read_vault(file: Path) -> object:
    with open_vault(file) as vault:
        return vault.folders()


def _vault_version(file: Path) -> int:
    with open_vault(file) as vault:
        return int(vault._database.pragma("user_version"))


def _renumber_vault(file: Path, number: int) -> None:
    with open_vault(file) as vault:
        vault._query(f"PRAGMA user_version = {number}", ())


@contextmanager
def open_vault(file: Path) -> Iterator[Vault]:
    """A vault of a state, opened with the key that lies beside it."""
    key = FileKeyStore(file.parents[1] / "keys").load(PersonId(file.stem))
    assert key is not None
    vault = Vault(file, key)
    try:
        yield vault
    finally:
        vault.close()


_JSON = r'"format": '

FORMATS = (
    _text("format", "^", _read_format),
    _text("settings.yaml", "^version: ", _read_settings),
    _text("disk.json", _JSON, _read_disk),
    _text("setup/draft.json", _JSON, _read_draft),
    _text("updates/history.json", _JSON, read_history),
    _text("updates/schedule.json", _JSON, read_schedule),
    _text("mail/tls/renewal.json", _JSON, _read_renewal),
    _text("mail/mailstore/keys/ID.key", "^mailstead-key ", _read_key),
    Format("mail/mailstore/vaults/ID.vault", _vault_version, _renumber_vault, _read_vault),
)
