"""systemd-detect-virt(1): whether the machine is one of its own."""

from __future__ import annotations

from firstboot.base.errors import CommandError
from firstboot.base.run import run


def detect(kind: str = "") -> str:
    """What the machine runs in, `none` for real hardware; `kind` may be `container` or `vm`.

    Raises CommandError when the program fails.
    """
    words = ["systemd-detect-virt", *([f"--{kind}"] if kind else [])]
    # It ends with 1 when it has found nothing, which it says as well.
    done = run(words, check=False, timeout=30)
    found = done.stdout.strip()
    if not found:
        raise CommandError(f"command {' '.join(words)} said nothing", returncode=done.returncode)
    return found
