"""The encrypted volume as it is: the ways into it, and a key to change it with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from firstboot.base.errors import CommandError
from firstboot.base.files import write_atomic
from firstboot.disk.errors import NoKeyError
from firstboot.disk.places import Places
from firstboot.system.cryptenroll import RECOVERY, TPM2, enrol_recovery_key, wipe_slots
from firstboot.system.cryptsetup import Header, backing_device, read_header
from firstboot.system.tpm import has_tpm2

Way = Literal["tpm2", "key-file", "passphrase", "recovery"]

# A token of ours. A slot without any token is that of the key file: so the initrd makes it.
PASSPHRASE = "mailstead-passphrase"  # noqa: S105 - the name of a token, not a secret
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Volume:
    """The partition, its header as last read, and what opened it at this start."""

    places: Places
    device: Path
    header: Header
    opened_by: str

    def slots(self, way: Way) -> tuple[int, ...]:
        """The key slots of a way in; none when there is no such way."""
        if way == "key-file":
            return self.header.unmarked
        types: dict[Way, str] = {"tpm2": TPM2, "passphrase": PASSPHRASE, "recovery": RECOVERY}
        return self.header.slots_of(types[way])


def read_volume(places: Places) -> Volume:
    """Look at the volume; MachineError when the state is not encrypted."""
    device = backing_device(places.mapper, places.block)
    return Volume(places, device, read_header(device), read_opened_by(places))


def read_opened_by(places: Places) -> str:
    """What opened the disk at this start: tpm2, key-file, typed, or unknown."""
    try:
        return places.unlocked_by.read_text(encoding="ascii").strip() or UNKNOWN
    except (OSError, UnicodeDecodeError):
        return UNKNOWN


def find_key(volume: Volume) -> Path | None:
    """A file with a key that opens the volume, or None for the TPM; NoKeyError when neither does.

    First what has opened it at this start, since that is known to work. The TPM counts only until
    it is closed.
    """
    places = volume.places
    files = {"typed": places.unlock_key}
    if volume.slots("key-file"):
        files["key-file"] = places.key_file
    tpm_gives = has_tpm2(places.tpms) and not places.tpm_closed.exists()
    by_tpm = bool(volume.slots("tpm2")) and tpm_gives
    if volume.opened_by == "tpm2" and by_tpm:
        return None
    for name in (volume.opened_by, *files):
        if name in files and files[name].is_file():
            return files[name]
    if by_tpm:
        return None
    raise NoKeyError(
        "no key of this disk is at hand, so its protection cannot be changed",
        "Start the machine again and type the passphrase or the recovery key on the console, or "
        "run this command where it can ask for it.",
    )


@contextlib.contextmanager
def key_file(volume: Volume) -> Iterator[Path]:
    """A file with a key that opens the volume, for cryptsetup, which needs one.

    The TPM keeps its key to itself, so it makes room for a passing one. A power cut leaves that in
    the header: a recovery key that nobody knows, taken away when the recovery key is settled.
    """
    key = find_key(volume)
    if key is None:
        with _passing_key(volume) as key:
            yield key
    else:
        yield key


def tpm_opens(volume: Volume) -> bool:
    """Whether the TPM gives its key now, found out by using it."""
    try:
        with _passing_key(volume):
            return True
    except CommandError:
        return False


@contextlib.contextmanager
def _passing_key(volume: Volume) -> Iterator[Path]:
    places, device = volume.places, volume.device
    before = read_header(device).slots_of(RECOVERY)
    path = places.passing_key
    try:
        write_atomic(path, enrol_recovery_key(device, None), mode=0o600)
        yield path
    finally:
        path.unlink(missing_ok=True)
        now = read_header(device).slots_of(RECOVERY)
        wipe_slots(device, [slot for slot in now if slot not in before])
