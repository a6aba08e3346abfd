"""nft(8): the machine's own table of rules, and ports that are open for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from firstboot.base.errors import CommandError
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.firewall import DIVERTED, PASSING, TABLE, Opening, render_rules
from firstboot.base.run import run

SECONDS = 60.0


def apply_rules(
    openings: Sequence[Opening],
    record: Path,
    diversions: Mapping[int, int] = MappingProxyType({}),
) -> None:
    """Replace the machine's rules in one step; connections that are open stay.

    `record` gets the rules as the kernel has them, for `rules_problem`. Raises CommandError, and
    leaves the rules as they were, when the kernel does not take them.
    """
    run(["nft", "-f", "-"], stdin=render_rules(openings, diversions), timeout=SECONDS)
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
    with _element(PASSING, f"{port}", f"{port} timeout {seconds}s"):
        yield


@contextlib.contextmanager
def diverted(port: int, target: int, seconds: int) -> Iterator[None]:
    """Whoever comes to `port` reaches `target` instead while the block runs, as with `opened`.

    So somebody can answer there for a while though the port belongs to a container.
    """
    with _element(DIVERTED, f"{port}", f"{port} timeout {seconds}s : {target}"):
        yield


@contextlib.contextmanager
def _element(name: str, key: str, added: str) -> Iterator[None]:
    """An element of a set or map while the block runs."""
    with contextlib.suppress(CommandError):
        run(["nft", "add", "element", "inet", TABLE, name, f"{{ {added} }}"], timeout=SECONDS)
    try:
        yield
    finally:
        with contextlib.suppress(CommandError):
            run(["nft", "delete", "element", "inet", TABLE, name, f"{{ {key} }}"], timeout=SECONDS)


def _listed() -> str:
    """Our table as the kernel has it, without counters and the ports that are open for a while."""
    return run(
        ["nft", "--stateless", "--terse", "list", "table", "inet", TABLE], timeout=SECONDS
    ).stdout
