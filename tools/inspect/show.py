"""Shows people what `forge inspect` found; wide enough for digests where nothing limits it."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from tools.host.cache import readable
from tools.inspect.difference import Changes, Difference
from tools.inspect.image import Inspection

_PIPE_WIDTH = 160
_SHOWN_SECTIONS = ("linux", "initrd", "cmdline")
_KEYS = {
    "release": "keys for releases",
    "test": "WARNING: test keys, which lie open on the host that built it",
}
_NOT_CHECKED = "not checked (--verify reads everything and does)"


def show(image: Inspection, difference: Difference | None) -> None:
    """Print an image, or with `difference` its summary and what it has that another has not."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, emoji=False, width=_PIPE_WIDTH)
    _show_summary(console, image)
    if difference:
        _show_difference(console, difference)
    else:
        _show_partitions(console, image)
        _show_containers(console, image)
        _show_packages(console, image)


def _show_summary(console: Console, image: Inspection) -> None:
    checked = {None: _NOT_CHECKED, "": "verified"}.get(image.damage, f"WRONG: {image.damage}")
    parts = ", ".join(f"{name} {_size(image.uki.sections[name])}" for name in _SHOWN_SECTIONS)
    compressed = f", compressed {_size(image.compressed_bytes)}" if image.compressed_bytes else ""
    facts = {
        "image": str(image.path),
        "version": image.release.version,
        "base": image.distribution,
        "made for": "tests: QEMU's guest agent is a way in" if image.testing else "use",
        "signed with": _KEYS.get(image.release.keys, f"unknown keys: {image.release.keys}"),
        "commit": f"{image.release.commit} of {image.release.built}",
        "size": _size(image.bytes) + compressed,
        "UKI": f"{image.uki.name}, {_size(image.uki.bytes)} ({parts})",
        "kernel": image.uki.kernel,
        "command line": image.uki.command_line,
        "root hash": image.uki.root_hash,
        "root": checked,
    }
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, value)
    console.print(table)


def _show_partitions(console: Console, image: Inspection) -> None:
    table = _table("Partitions", "#", "Type", "Label", "UUID", "Start", "Size")
    for partition in image.partitions:
        places = _size(partition.start), _size(partition.bytes)
        table.add_row(
            str(partition.number), partition.type, partition.label, partition.uuid, *places
        )
    console.print(table)


def _show_containers(console: Console, image: Inspection) -> None:
    table = _table("Containers", "Name", "Size", "Manifest digest")
    for name, found in sorted(image.release.images.items()):
        table.add_row(name, _size(found.bytes), found.manifest)
    console.print(table)


def _show_packages(console: Console, image: Inspection) -> None:
    table = _table(f"Packages ({len(image.packages)})", "Name", "Version")
    for name, version in image.packages.items():
        table.add_row(name, version)
    console.print(table)


def _show_difference(console: Console, difference: Difference) -> None:
    console.print(f"\nDifferences from {difference.against}", style="bold")
    if difference.same_root:
        console.print("The operating systems are the same, byte for byte.")
    _show_changes(console, "Facts", difference.facts)
    _show_changes(console, "Packages", difference.packages)
    _show_changes(console, "Containers", difference.containers)
    words = [
        *(("-", word) for word in difference.words_removed),
        *(("+", word) for word in difference.words_added),
    ]
    _show_rows(console, "Kernel command line", [(sign, word, "") for sign, word in words])


def _show_changes(console: Console, title: str, changes: Changes) -> None:
    rows = [
        *(("+", name, value) for name, value in changes.added.items()),
        *(("-", name, value) for name, value in changes.removed.items()),
        *(("~", name, f"{old} → {new}") for name, (old, new) in changes.changed.items()),
    ]
    _show_rows(console, title, rows)


def _show_rows(console: Console, title: str, rows: Iterable[tuple[str, str, str]]) -> None:
    table = _table(title, "", "", "")
    table.show_header = False
    for row in rows:
        table.add_row(*row)
    if table.row_count:
        console.print(table)
    else:
        console.print(f"\n{title}: no difference")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", title_style="bold", box=None)
    for column in columns:
        numeric = column in {"#", "Start", "Size"}
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    return table


def _size(size: int) -> str:
    return f"{size} B" if size < 1 << 20 else readable(size)
