"""YAML files, read by libyaml where it is there: the other reader takes ten times as long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Any:
    """Return what a file of ours holds. Raises OSError, UnicodeDecodeError and YAMLError.

    Not for what strangers wrote: libyaml ends the process when it is nested too deeply.
    """
    # The loader is a safe one.
    return yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506
