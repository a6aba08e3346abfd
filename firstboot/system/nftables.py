"""nft(8): the machine's own table of rules, and ports that are open for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from firstboot.base.errors import CommandError
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.firewall import PASSING, TABLE, Opening, render_rules
from firstboot.base.run import run

SECONDS = 60.0


def apply_rules(openings: Sequence[Opening], record: Path) -> None:
    """Replace the machine's rules in one step; connections that are open stay.

    `record` gets the rules as the kernel has them, for `rules_problem`. Raises CommandError, and
    leaves the rules as they were, when the kernel does not take them.
    """
    run(["nft", "-f", "-"], stdin=render_rules(openings), timeout=SECONDS)
    make_directory(record.parent)
    write_atomic(record, _listed())


def rules_problem(record: Path) -> str | None:
    """How the rules differ from those that were applied last, None when they do not."""
    try:
        wanted = record.read_text(encoding="utf-8")
    except OSError:
        return "they were not applied"
    try:
        found = _listed()
    except CommandError:
        return "they are gone"
    return None if found == wanted else "they were changed"


@contextlib.contextmanager
def opened(port: int, seconds: int) -> Iterator[None]:
    """A port open to everybody while the block runs, at most for `seconds`.

    The kernel closes it when the time is over, should nobody be left to do so. Where our rules are
    not there, nothing has to be opened; `mailstead check` tells that they are missing.
    """
    element = f"{{ {port} }}"
    with contextlib.suppress(CommandError):
        timed = f"{{ {port} timeout {seconds}s }}"
        run(["nft", "add", "element", "inet", TABLE, PASSING, timed], timeout=SECONDS)
    try:
        yield
    finally:
        with contextlib.suppress(CommandError):
            run(["nft", "delete", "element", "inet", TABLE, PASSING, element], timeout=SECONDS)


def _listed() -> str:
    """Our table as the kernel has it, without counters and the ports that are open for a while."""
    return run(
        ["nft", "--stateless", "--terse", "list", "table", "inet", TABLE], timeout=SECONDS
    ).stdout
