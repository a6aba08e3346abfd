"""Takes a unified kernel image apart: which sections it has, and the texts among them.

A UKI is a PE file; its sections are those of the UAPI group's UKI specification. The layout is
from Microsoft's "PE Format": sections 3.3 (COFF file header) and 4 (section table).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tools.inspect.errors import InspectError

_COFF = struct.Struct("<4x2xH12xH2x")
_SECTION = struct.Struct("<8sIIII16x")
_MAXIMUM_TEXT = 64 << 10
# These are what makes a PE file a UKI of ours.
_NEEDED = frozenset({".linux", ".initrd", ".cmdline"})


@dataclass(frozen=True)
class Uki:
    """A UKI. `sections` are sizes in bytes by name without the dot; `kernel` is `uname -r`."""

    name: str
    bytes: int
    kernel: str
    command_line: str
    sections: Mapping[str, int]

    @property
    def root_hash(self) -> str:
        """The root hash of the root partition that this UKI starts, "" if it names none."""
        words = (word.partition("=") for word in self.command_line.split())
        return next((value.lower() for key, _, value in words if key == "roothash"), "")


def read_uki(path: Path) -> Uki:
    """Read a UKI. Raises InspectError when the file is none, or ends too early."""
    try:
        with path.open("rb") as file:
            sections: dict[str, tuple[int, int]] = {}
            for name, place in _sections(file):
                # A UKI with several profiles repeats sections; the first are those of the default.
                sections.setdefault(name, place)
            size = file.seek(0, 2)
            if missing := _NEEDED - sections.keys():
                raise InspectError(f"{path.name} has no section {', '.join(sorted(missing))}")
            if any(start + length > size for start, length in sections.values()):
                raise InspectError(f"{path.name} ends before its sections do")
            texts = {
                name: _text(file, *sections.get(name, (0, 0))) for name in (".cmdline", ".uname")
            }
    except (struct.error, ValueError):
        raise InspectError(f"{path.name} is not a unified kernel image") from None
    return Uki(
        name=path.name,
        bytes=size,
        kernel=texts[".uname"],
        command_line=texts[".cmdline"],
        sections={name.removeprefix("."): length for name, (_, length) in sections.items()},
    )


def _sections(file: BinaryIO) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each section's name, and where its content is in the file: start and length in bytes."""
    start = file.read(64)
    if start[:2] != b"MZ":
        raise ValueError
    (header,) = struct.unpack_from("<I", start, 60)
    file.seek(header)
    coff = file.read(_COFF.size)
    if coff[:4] != b"PE\0\0":
        raise ValueError
    count, optional_size = _COFF.unpack(coff)
    file.seek(optional_size, 1)
    for _ in range(count):
        name, length, _address, stored, offset = _SECTION.unpack(file.read(_SECTION.size))
        # What is stored is padded to the alignment of the file.
        yield name.rstrip(b"\0").decode("ascii"), (offset, min(length, stored))


def _text(file: BinaryIO, start: int, length: int) -> str:
    file.seek(start)
    return file.read(min(length, _MAXIMUM_TEXT)).decode(errors="replace").rstrip("\0").strip()
