"""A ZIP file that is written as a stream: nothing of it is kept once it has been taken."""

from __future__ import annotations

import re
import time
import zipfile
from collections.abc import Sequence
from typing import IO

_LEVEL = 1  # what is attached is dense already, and the rest is small
# From here on an entry says its size in eight bytes, which not every program reads. An entry is
# never twice as large as it is thought to be, and without this has 2 GiB at most.
_LARGE = 1 << 30
# What a path, a shell or another system takes for something else: a dot at the start hides a file,
# Windows drops dots and spaces at the end and has devices of these names, control characters and
# those that turn the direction of writing (UAX 9) make a name look like another, and a folder that
# is named as a file would be in its way. `mailstead vault import` reads this back.
_UNSAFE = re.compile(
    r"""[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069/\\:*?"<>|%]"""
    r"""|^\.|^~|[. ]$|\.(?=mbox$)|^(?:con|prn|aux|nul|(?:com|lpt)[0-9])(?=\.|$)""",
    re.IGNORECASE,
)
# File systems take 255 bytes of a level, with the suffix and a number; a ZIP file 65,535 of a path.
_MOST_BYTES = 200
_MOST_LEVELS = 60
# What is left of a character where a name was cut, and what must not be at its end.
_CUT = re.compile(r"(?:%[0-9A-F]?|[. ]+)$")


class Archive:
    """Entries come one after the other; `take` what there is in between. For one thread at a time.

    `zipfile` keeps some hundred bytes of each entry, so an entry is a folder, not a message.
    """

    def __init__(self) -> None:
        self._outbox = _Outbox()
        self._zip = zipfile.ZipFile(
            self._outbox,  # type: ignore[call-overload]
            "w",
            zipfile.ZIP_DEFLATED,
            compresslevel=_LEVEL,
        )
        self._now = time.gmtime()[:6]
        self._names: set[str] = set()
        self._entry: IO[bytes] | None = None

    def begin(self, levels: Sequence[str], suffix: str, size: int = 0) -> None:
        """Begin an entry at a path of free text; `size`: about how many bytes it will have."""
        self.end()
        info = zipfile.ZipInfo(self._free(levels, suffix), self._now)
        info.compress_type = zipfile.ZIP_DEFLATED
        self._entry = self._zip.open(info, "w", force_zip64=size >= _LARGE)

    def write(self, data: bytes) -> None:
        """Go on with the entry."""
        if self._entry is None:
            raise ValueError("no entry was begun")
        self._entry.write(data)

    def end(self) -> None:
        """End the entry, if one was begun."""
        if self._entry is not None:
            self._entry.close()
            self._entry = None

    def close(self) -> None:
        """Write what makes it whole: the list of entries."""
        self.end()
        self._zip.close()

    def take(self) -> bytes:
        """Return what was made since the last time."""
        return self._outbox.take()

    def _free(self, levels: Sequence[str], suffix: str) -> str:
        """A path that no entry has yet, on systems for which `A` and `a` are one, too."""
        path = "/".join(safe_name(level) for level in levels[:_MOST_LEVELS])
        number, name = 1, path + suffix
        while name.casefold() in self._names:
            number += 1
            name = f"{path}-{number}{suffix}"
        self._names.add(name.casefold())
        return name


class _Outbox:
    """What was written and not taken yet. It cannot seek, so `zipfile` does not try."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def flush(self) -> None:
        """There is nobody behind it."""

    def take(self) -> bytes:
        data, self._data = bytes(self._data), bytearray()
        return data


def safe_name(level: str) -> str:
    """One level of a path on any file system: odd characters as %XX, and not too much of it."""
    name = _UNSAFE.sub(lambda match: "".join(f"%{b:02X}" for b in match[0].encode()), level)
    data = name.encode()
    if len(data) > _MOST_BYTES:
        name = _CUT.sub("", data[:_MOST_BYTES].decode(errors="ignore"))
    return name or "%20"
