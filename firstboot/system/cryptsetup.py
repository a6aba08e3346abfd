"""cryptsetup(8): what is in a LUKS2 header, and new keys in it.

The header is a JSON document: key slots, and tokens that say what a slot is for (LUKS2 On-Disk
Format 1.1, section 3). The tokens of systemd are described by its `tpm2_make_luks2_json` and
`enroll_recovery`; mind that some of their names have a dash and some an underscore.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstboot.base.errors import MachineError
from firstboot.base.run import run

BLOCK = Path("/sys/class/block")
# The opened state; the initrd opens it under this name.
STATE = Path("/dev/mapper/mailstead-state")
# LUKS2_KEYSLOTS_MAX of libcryptsetup.
SLOTS = 32
# Argon2id has to find its memory again in the initrd, on whatever machine the disk is then in:
# 256 MiB is what one with 1 GiB can spare there. The default would be up to 1 GiB.
ARGON2_KIB = 256 << 10
SECONDS = 300.0


@dataclass(frozen=True)
class Token:
    """What a header says of some of its slots.

    `pcrs` are bound to the values that they had, `signed_pcrs` to values that a key has signed;
    both are empty for all but `systemd-tpm2`.
    """

    type: str
    slots: tuple[int, ...]
    pcrs: tuple[int, ...] = ()
    signed_pcrs: tuple[int, ...] = ()


@dataclass(frozen=True)
class Header:
    """The key slots in use, and the tokens; a token without a slot is not among them."""

    slots: tuple[int, ...]
    tokens: tuple[Token, ...]

    def slots_of(self, type_: str) -> tuple[int, ...]:
        """The slots that tokens of a type are for."""
        found = {slot for token in self.tokens if token.type == type_ for slot in token.slots}
        return tuple(sorted(found))

    @property
    def unmarked(self) -> tuple[int, ...]:
        """The slots that no token is for."""
        marked = {slot for token in self.tokens for slot in token.slots}
        return tuple(slot for slot in self.slots if slot not in marked)

    @property
    def free_slot(self) -> int:
        """The lowest number that is not in use; MachineError when all are."""
        for slot in range(SLOTS):
            if slot not in self.slots:
                return slot
        raise MachineError(f"all {SLOTS} key slots of the disk are in use")


def backing_device(mapper: Path, block: Path = BLOCK) -> Path:
    """The partition below an opened LUKS volume; MachineError when there is no such volume.

    The kernel is asked, and not the partition labels: a second disk may carry the same ones.
    """
    try:
        below = sorted((block / mapper.resolve(strict=True).name / "slaves").iterdir())
    except OSError:
        below = []
    if len(below) != 1:
        raise MachineError(f"{mapper} is not an encrypted volume that is open")
    return Path("/dev") / below[0].name


def read_uuid(device: Path) -> str:
    """The UUID of a LUKS header; CommandError when there is none."""
    return run(["cryptsetup", "luksUUID", device], timeout=SECONDS).stdout.strip()


def read_header(device: Path) -> Header:
    """The LUKS2 header; CommandError when there is none, MachineError when it makes no sense."""
    dumped = run(["cryptsetup", "luksDump", "--dump-json-metadata", device], timeout=SECONDS)
    try:
        content = json.loads(dumped.stdout)
        slots = tuple(sorted(int(slot) for slot in content["keyslots"]))
        tokens = (_token(token, slots) for token in content["tokens"].values())
        return Header(slots, tuple(token for token in tokens if token.slots))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise MachineError(f"the LUKS2 header of {device} cannot be understood") from None


def add_key(device: Path, key: bytes, *, slot: int, unlock: Path, stretch: bool) -> None:
    """Put a key into a free slot, opening the volume with the key in the file `unlock`.

    `stretch` is for what people choose. Random keys need none, and opening is quick without.
    """
    way = (
        ("--pbkdf", "argon2id", "--pbkdf-memory", str(ARGON2_KIB))
        if stretch
        else ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
    )
    argv: list[str | Path] = ["cryptsetup", "luksAddKey", "--batch-mode", *way]
    argv += ["--key-file", unlock, "--new-key-slot", str(slot), device, "-"]
    run(argv, stdin=key, timeout=SECONDS)


def mark_slot(device: Path, slot: int, type_: str) -> None:
    """Write into the header what a slot is for."""
    token = json.dumps({"type": type_, "keyslots": [str(slot)]})
    run(["cryptsetup", "token", "import", "--json-file", "-", device], stdin=token, timeout=SECONDS)


def _token(token: Mapping[str, Any], slots: tuple[int, ...]) -> Token:
    numbers = (int(slot) for slot in token["keyslots"])
    return Token(
        type=str(token["type"]),
        slots=tuple(slot for slot in numbers if slot in slots),
        pcrs=tuple(int(pcr) for pcr in token.get("tpm2-pcrs", ())),
        signed_pcrs=tuple(int(pcr) for pcr in token.get("tpm2_pubkey_pcrs", ())),
    )
