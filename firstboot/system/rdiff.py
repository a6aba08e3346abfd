"""rdiff(1): a new part from the old one, where it lies, and a delta."""

from __future__ import annotations

from pathlib import Path

from firstboot.base.run import run

TIMEOUT_SECONDS = 3600


def patch(base: Path, delta: Path, target: Path, *, limit: int) -> None:
    """Apply `delta` to `base`, a file or a partition, into the new file `target`.

    The kernel stops it at `limit` bytes (see firstboot.system.zstd). Whether the result is right
    only its hash can tell: rdiff does not know which base a delta was made for. Raises CommandError
    when the delta is damaged, asks for more than the base has, or gives too much.
    """
    target.unlink(missing_ok=True)
    words: list[str | Path] = ["prlimit", f"--fsize={limit}", "rdiff", "patch", base, delta, target]
    run(words, timeout=TIMEOUT_SECONDS)
