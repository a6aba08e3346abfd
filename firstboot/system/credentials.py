"""systemd credentials: small secrets handed to a machine by whoever starts it.

systemd itself imports none here, since a file on the EFI system partition could bring units and
passwords into a signed system that way. So we look ourselves for ours, where hypervisors put them,
see systemd.system-credentials(7).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from firstboot.base.errors import CommandError, MachineError
from firstboot.base.run import run

FIRMWARE = Path("/sys/firmware")

_FW_CFG = Path("qemu_fw_cfg/by_name/opt/io.systemd.credentials")
_TEXT = "io.systemd.credential"
_BINARY = "io.systemd.credential.binary"

# SMBIOS 3.x, 7.12: the type of "OEM Strings", whose formatted area has five bytes or more.
_OEM_STRINGS = 11
_LEAST_AREA = 5


def read_credential(name: str, *, firmware: Path = FIRMWARE) -> bytes | None:
    """The first credential of that name, None when there is none.

    Looks at the credentials of the unit that runs us, then at SMBIOS, then at QEMU's fw_cfg.
    MachineError names the place where something is wrong.
    """
    unit = os.environ.get("CREDENTIALS_DIRECTORY")
    content = _read(Path(unit) / name) if unit else None
    if content is None:
        content = _in_smbios(name, firmware / "dmi")
    if content is None:
        content = _read(firmware / _FW_CFG / name / "raw")
    return content


def _in_smbios(name: str, dmi: Path) -> bytes | None:
    text, binary = f"{_TEXT}:{name}=".encode(), f"{_BINARY}:{name}=".encode()
    for place in _oem_strings(dmi):
        for string in _strings(place):
            if string.startswith(text):
                return string.removeprefix(text)
            if string.startswith(binary):
                return _decode(string.removeprefix(binary), f"{_BINARY}:{name} in {place}")
    return None


def _oem_strings(dmi: Path) -> Iterator[Path]:
    """The SMBIOS structures with OEM strings, in the order of their numbers."""
    entries = dmi / "entries"
    if dmi.is_dir() and not entries.is_dir():
        # The kernel has the table in any case; the module shows it structure by structure.
        with contextlib.suppress(CommandError):
            run(["modprobe", "-q", "dmi-sysfs"], check=False, timeout=60)
    numbers = (entry.name.partition("-")[2] for entry in entries.glob(f"{_OEM_STRINGS}-*"))
    for number in sorted(int(number) for number in numbers if number.isdecimal()):
        yield entries / f"{_OEM_STRINGS}-{number}" / "raw"


def _strings(place: Path) -> list[bytes]:
    """The strings of a structure: behind the formatted area, each ended by NUL, the last by two."""
    raw = _read(place) or b""
    length = raw[1] if len(raw) > 1 else 0
    strings, end, _ = raw[length:].partition(b"\0\0")
    if raw[0:1] != bytes([_OEM_STRINGS]) or length < _LEAST_AREA or not end:
        raise MachineError(
            f"{place} holds no OEM strings",
            "Correct what is handed over by SMBIOS, or hand over a file instead.",
        )
    return strings.split(b"\0")


def _decode(text: bytes, place: str) -> bytes:
    try:
        # Lines may be broken, as for systemd.
        return base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        raise MachineError(f"{place} is not Base64", "Make it with: base64 --wrap=0 FILE") from None


def _read(path: Path) -> bytes | None:
    """A file's content, None when there is no such file."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise MachineError(f"{path} cannot be read: {error.strerror}") from None
