"""Brings the ways into the disk in line with what the owner has chosen.

The order is what makes it safe to cut the power at any instant: the new way is added, then there is
a recovery key, and only then the other ways go. Each step looks at the header as it is, so that all
of it can be run again at each start, and does nothing when nothing is to be done.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from typing import Literal

from firstboot.base.errors import MachineError
from firstboot.base.files import sync_directory, write_atomic
from firstboot.disk.passphrase import ask_passphrase
from firstboot.disk.places import Places
from firstboot.disk.recovery import settle_recovery
from firstboot.disk.volume import (
    PASSPHRASE,
    Volume,
    find_key,
    key_file,
    read_opened_by,
    read_volume,
    tpm_opens,
)
from firstboot.system.console import Console
from firstboot.system.cryptenroll import (
    SECURE_BOOT_PCR,
    TPM2,
    UKI_PCR,
    enrol_tpm2,
    wipe_slots,
)
from firstboot.system.cryptsetup import Token, add_key, mark_slot
from firstboot.system.secureboot import read_secure_boot
from firstboot.system.tpm import has_tpm2

Protection = Literal["tpm2", "passphrase", "key-file"]

_CHOICE = """\
Choose disk: protection: passphrase or key-file in the settings.
  passphrase  protects a disk or machine that was stolen while switched off;
              somebody has to type it on the console at each start
  key-file    protects nothing as long as the disk is whole, since the key lies
              beside it for everybody who has the disk or hosts the machine; it
              only makes wiping easy, and the machine starts by itself"""


def require_possible(protection: Protection, places: Places) -> None:
    """Raise MachineError when this machine cannot protect its disk as chosen."""
    if protection == "tpm2" and not has_tpm2(places.tpms):
        raise MachineError("This machine has no TPM 2.0, which is to protect the disk", _CHOICE)
    measured = places.public_key.is_file() or read_opened_by(places) == "tpm2"
    if protection == "tpm2" and not measured:
        raise MachineError(
            "The system was not started in a way that its TPM can measure, so the TPM cannot "
            "protect the disk",
            _CHOICE,
        )


def protect(protection: Protection, places: Places, console: Console) -> None:
    """Make the ways into the disk what the owner has chosen, and see to a recovery key.

    Waits for the owner where a passphrase has to be chosen. Raises MachineError when the machine
    cannot do what was chosen, or NoKeyError when no key is at hand; the disk opens as before then.
    """
    try:
        require_possible(protection, places)
        volume = read_volume(places)
        add: Callable[[Volume, Console], tuple[int, ...]] = {
            "tpm2": _add_tpm2,
            "key-file": _add_key_file,
            "passphrase": _add_passphrase,
        }[protection]
        keep = add(volume, console)
        if settle_recovery(places):
            console.say("the disk has a new recovery key")
        _drop_others(read_volume(places), keep)
        if protection != "key-file":
            _forget_key_file(places)
    finally:
        places.unlock_key.unlink(missing_ok=True)


def _add_tpm2(volume: Volume, console: Console) -> tuple[int, ...]:
    places = volume.places
    enforced = read_secure_boot(places.paths.efivars) == "enforced"
    if not _is_opened_by(volume, enforced=enforced):
        _require_open_tpm(places)
        key = find_key(volume)
        if key is not None:
            # Another key opened the disk, so these are of a TPM that is gone. They have to go
            # first: for systemd-cryptenroll the same policy is the same enrolment.
            wipe_slots(volume.device, volume.slots("tpm2"))
        enrol_tpm2(volume.device, key, public_key=places.public_key, secure_boot=enforced)
        volume = read_volume(places)
        if not tpm_opens(volume):
            raise MachineError(
                "The TPM took a key for the disk but does not give it back; the disk still opens "
                "as before",
                "Start the machine again. If this stays, choose another protection: passphrase.",
            )
        console.say("the TPM opens the disk from now on")
    fit = _fitting(volume, enforced=enforced)
    return tuple(slot for token in fit for slot in token.slots)


def _is_opened_by(volume: Volume, *, enforced: bool) -> bool:
    """Whether just one enrolment of a TPM is there, it has the right policy, and it works."""
    fit = _fitting(volume, enforced=enforced)
    if len(fit) != 1 or fit[0].slots != volume.slots("tpm2"):
        return False
    if volume.opened_by == "tpm2":
        return True
    if volume.places.tpm_closed.exists():
        # It cannot be tried any more. That is no matter when there is no other way to take away.
        return not volume.slots("key-file") and not volume.slots("passphrase")
    return tpm_opens(volume)


def _require_open_tpm(places: Places) -> None:
    """Raise MachineError when an enrolment could not be tried out."""
    if places.tpm_closed.exists():
        raise MachineError(
            "The TPM gives no key for the disk any more until the next start",
            "Start the machine again: it then brings the disk in line with the settings.",
        )


def _fitting(volume: Volume, *, enforced: bool) -> tuple[Token, ...]:
    """The TPM's enrolments for our UKIs; with Secure Boot on, only those that depend on it."""
    return tuple(
        token
        for token in volume.header.tokens
        if token.type == TPM2
        and token.signed_pcrs == (UKI_PCR,)
        and (SECURE_BOOT_PCR in token.pcrs or not enforced)
    )


def _add_key_file(volume: Volume, console: Console) -> tuple[int, ...]:
    slots = volume.slots("key-file")
    if volume.opened_by == "key-file" and len(slots) == 1 and volume.places.key_file.is_file():
        return slots
    # As the initrd makes it: 256 bits in hexadecimal digits.
    key = secrets.token_hex(32)
    with key_file(volume) as unlock:
        slot = read_volume(volume.places).header.free_slot
        add_key(volume.device, key.encode(), slot=slot, unlock=unlock, stretch=False)
    _write_key_file(volume.places, key)
    console.say("a key file beside the disk opens it from now on")
    return (slot,)


def _add_passphrase(volume: Volume, console: Console) -> tuple[int, ...]:
    slots = volume.slots("passphrase")
    if slots:
        return slots
    find_key(volume)  # before somebody types for nothing
    chosen = ask_passphrase(console.devices).encode()
    with key_file(volume) as unlock:
        slot = read_volume(volume.places).header.free_slot
        add_key(volume.device, chosen, slot=slot, unlock=unlock, stretch=True)
    mark_slot(volume.device, slot, PASSPHRASE)
    console.say("the passphrase opens the disk from now on")
    return (slot,)


def _drop_others(volume: Volume, keep: tuple[int, ...]) -> None:
    """Take away all ways but `keep` and the recovery key; what is not ours stays, and is shown."""
    if not set(keep) <= set(volume.header.slots) or not keep:
        raise MachineError("the new way into the disk is not in its header; the others stay")
    ours = volume.slots("tpm2") + volume.slots("key-file") + volume.slots("passphrase")
    wipe_slots(volume.device, [slot for slot in ours if slot not in keep])


def _write_key_file(places: Places, key: str) -> None:
    try:
        # On vfat the mount decides who may read (umask=0077); another mode than this it refuses.
        write_atomic(places.key_file, key, mode=0o700)
    except OSError as error:
        raise MachineError(
            f"{places.key_file} cannot be written: {error.strerror}; the disk opens as before"
        ) from None


def _forget_key_file(places: Places) -> None:
    """Overwrite and remove the key file. Its slot is gone by now, so it opens nothing."""
    path = places.key_file
    try:
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
        sync_directory(path.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise MachineError(f"{path} cannot be removed: {error.strerror}") from None
