"""The format of everything below /state, as one number that stands there in a file.

It is raised by one at each step of a change: when a release begins to read a new form, and when a
later one begins to write it. So a release reads what N-1 and N+1 write, and going back one release
never loses mail. docs/state.md has the recipe.
"""

from __future__ import annotations

from pathlib import Path

from firstboot.base.errors import ReleaseError
from firstboot.base.files import write_if_changed

STATE_FORMAT = 2
RESTORE_HINT = "Install the release that made the backup, restore there, and upgrade step by step."


def read_state_format(path: Path) -> int:
    """The format that the state was last written in; 1 where no file says so yet."""
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return 1
    except (OSError, ValueError):
        text = ""
    if not text.strip().isdigit() or len(text.strip()) > 9:
        raise ReleaseError(
            f"{path} does not say which format the state has",
            f"Restore the file from a backup; a machine of this release writes {STATE_FORMAT}.",
        )
    return int(text)


def claim_state(path: Path) -> None:
    """Note that this release writes the state from now on.

    The number never falls: what a newer release wrote is still there when an older one comes back.
    Raises ReleaseError when another has written what this one cannot read.
    """
    found = read_state_format(path)
    require_readable(found, "Start the release that wrote it, or upgrade step by step.")
    write_if_changed(path, f"{max(found, STATE_FORMAT)}\n")


def adopt_format(path: Path, found: int) -> None:
    """Note that what a release with the number `found` wrote comes into the state.

    Raises ReleaseError as `claim_state` does, and has changed nothing then.
    """
    require_readable(found, RESTORE_HINT)
    write_if_changed(path, f"{max(found, STATE_FORMAT, read_state_format(path))}\n")


def require_readable(found: int, hint: str) -> None:
    """Raise ReleaseError, with `hint`, when this release cannot read a state of format `found`."""
    if abs(found - STATE_FORMAT) > 1:
        raise ReleaseError(
            f"the state has format {found}, this release reads {max(1, STATE_FORMAT - 1)} to "
            f"{STATE_FORMAT + 1}",
            hint,
        )
