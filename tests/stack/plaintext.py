"""Looking for words where nobody may find them: in files and in what containers have written."""

from __future__ import annotations

import base64
import contextlib
import mmap
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path


def spellings(text: bytes) -> set[bytes]:
    """A text as it would be read, and in its other usual forms."""
    middle = {base64.b64encode(b"x" * shift + text)[4:-4] for shift in range(3)}
    wide = {text.decode().encode(f"utf-16-{order}") for order in ("le", "be")}
    return {text, text.upper(), text.hex().encode(), *wide, *middle}


def files_with(folder: Path, words: Collection[bytes]) -> Iterator[tuple[Path, bytes]]:
    """Every file below a folder that has one of the words, and which."""
    return words_in(sorted(folder.rglob("*")), words)


def words_in(paths: Iterable[Path], words: Collection[bytes]) -> Iterator[tuple[Path, bytes]]:
    """Every file that has one of the words, and which; none is read into memory."""
    for path in paths:
        if path.is_symlink() or not path.is_file():
            continue
        # It may have gone by now, as the log of a vault that was locked.
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            try:
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError:
                continue  # it is empty
            with content:
                yield from ((path, word) for word in words if content.find(word) != -1)
