"""Unpacks an image that zstd has compressed, for as long as it is looked at."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.host.cache import UNFINISHED, cache_folder, discard_unfinished, lock, require_space
from tools.host.errors import SpaceError
from tools.host.report import Say
from tools.inspect.errors import InspectError
from tools.inspect.programs import Programs

# Frame header, RFC 8878, section 3.1.1.
_MAGIC = bytes.fromhex("28b52ffd")


def is_compressed(path: Path) -> bool:
    """Whether the file begins as zstd's do, whatever its name."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError as error:
        raise InspectError(f"{path} cannot be read: {error.strerror}") from None


@contextmanager
def unpacked(path: Path, programs: Programs, report: Say) -> Iterator[Path]:
    """A raw image, sparse, in the project's cache, with the content of the compressed `path`."""
    folder = cache_folder("inspect")
    # It is large: what a killed run left goes with the next one, and there is only one at a time.
    with lock("inspect", f"inspecting {path}", report):
        discard_unfinished(folder)
        require_space(folder, path.stat().st_size, f"unpacking {path.name}")
        with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder) as unfinished:
            raw = Path(unfinished) / path.name.removesuffix(".zst")
            report(f"Unpacking {path.name} …")
            done = programs.run("zstd", "--decompress", "--quiet", "--sparse", path, "-o", raw)
            if "No space left" in done.stderr:
                raise SpaceError(
                    f"no space is left in {folder} for unpacking {path.name}",
                    "Free some there, or set XDG_CACHE_HOME to a directory on another disk.",
                )
            if done.returncode != 0:
                raise InspectError(
                    f"{path} cannot be unpacked: {done.stderr.strip()}", "Copy it again."
                )
            yield raw
