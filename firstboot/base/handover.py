"""What the front that asks and the machine that waits hand each other, as files in memory.

A seed that leaves questions open goes to the front, complete settings come back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from firstboot.base.files import make_directory, write_atomic
from firstboot.base.located import Plain
from firstboot.base.paths import Paths


@dataclass(frozen=True)
class Given:
    """Part of the settings, and where it came from ("" where there is none)."""

    source: str = ""
    values: Mapping[str, Plain] = field(default_factory=dict)


def write_given(paths: Paths, given: Given) -> None:
    """Leave what a seed holds for those who ask the rest."""
    make_directory(paths.given.parent, mode=0o700)
    content = {"source": given.source, "values": given.values}
    write_atomic(paths.given, json.dumps(content), mode=0o600)


def read_given(paths: Paths) -> Given:
    """What was left; nothing where no seed was found or it has been taken away."""
    try:
        content = json.loads(paths.given.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Given()
    return Given(content["source"], _frozen(content["values"]))


def forget_given(paths: Paths) -> None:
    paths.given.unlink(missing_ok=True)


def hand_over(paths: Paths, text: str) -> None:
    """Give complete settings to the machine, which looks for them every few seconds."""
    make_directory(paths.handed.parent, mode=0o700)
    write_atomic(paths.handed, text, mode=0o600)


def take_back(paths: Paths) -> None:
    """Settings that were handed over and not yet used are no longer."""
    paths.handed.unlink(missing_ok=True)


def _frozen(value: Any) -> Any:
    """JSON's lists as tuples, as everywhere in settings."""
    if isinstance(value, dict):
        return {key: _frozen(inner) for key, inner in value.items()}
    return tuple(_frozen(inner) for inner in value) if isinstance(value, list) else value
