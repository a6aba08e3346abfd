"""Credentials of a place as somebody hands them over: by a pipe, at a terminal, or on a stick."""

from __future__ import annotations

import sys

import click

from firstboot.backup.credentials import FORMS, question, typed
from firstboot.backup.opening import find_disk
from firstboot.base.backupplaces import kind_of
from firstboot.base.paths import Paths
from firstboot.base.sections import BackupTarget
from firstboot.system.resticerrors import BackupError
from firstboot.system.volumes import read_file

# What ends a text that has more lines than one; none of its lines is that.
END = "."
_MOST_LINES = 2000


def handed_over(paths: Paths, target: BackupTarget, stick: str | None) -> str:
    """The credentials for a target, as they are; whether they are of its form is not looked at.

    `stick` is the label of a file system that has them. Raises BackupError when it has not.
    """
    if stick is not None:
        return _from_stick(paths, target, stick)
    if not sys.stdin.isatty():
        return sys.stdin.read()
    kind = kind_of(target.repository)
    if asked := question(kind):
        return typed(kind, str(click.prompt(asked, hide_input=True, err=True)))
    click.echo(f"Paste {FORMS[kind]}.", err=True)
    click.echo(f"End with a line that has nothing but {END}", err=True)
    lines: list[str] = []
    for line in sys.stdin:
        if line.strip() == END or len(lines) == _MOST_LINES:
            break
        lines.append(line)
    return "".join(lines)


def _from_stick(paths: Paths, target: BackupTarget, label: str) -> str:
    name = f"credentials-{target.name}.txt"
    content = read_file(find_disk(label), name, runtime=paths.runtime)
    if content is None:
        raise BackupError(f"there is no file {name} on {label}", "Name it so, and try again.")
    try:
        # As editors of other systems write it: a mark at the start, other ends of lines.
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise BackupError(f"{name} on {label} is no text", "Save it as text, in UTF-8.") from None
