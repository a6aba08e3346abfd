"""zstd(1): unpacking what was fetched, never into more bytes than were announced."""

from __future__ import annotations

from pathlib import Path

from firstboot.base.run import run

# A machine may be slow or emulated; half a gigabyte takes it some minutes.
TIMEOUT_SECONDS = 3600
# What zstd itself allows by default: more would need --long, which no release of ours uses.
MEMORY = "128MiB"


def decompress(source: Path, target: Path, *, limit: int) -> None:
    """Unpack `source` into the new file `target` of at most `limit` bytes.

    The kernel holds the limit (RLIMIT_FSIZE, set by prlimit(1)), so that a small file that unpacks
    into a huge one cannot fill the disk. Raises CommandError when it is damaged or too long.
    """
    target.unlink(missing_ok=True)
    words: list[str | Path] = ["prlimit", f"--fsize={limit}", "zstd", "--decompress", "--quiet"]
    words += ["--no-sparse", f"--memory={MEMORY}", source, "-o", target]
    run(words, timeout=TIMEOUT_SECONDS)
