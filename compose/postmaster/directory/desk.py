"""The client's side of the control socket (`control`), light enough for a short command."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from postmaster.errors import AccountError

ANSWER_SECONDS = 60.0
SCOPES = ("mail", "dav", "send")  # what an app password may be for

Answer = dict[str, Any]


def ask(path: Path, request: Mapping[str, Any]) -> Answer:
    """Ask the service that listens on a socket. Raises AccountError with what it says."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(str(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as lines:
                found = json.loads(lines.readline())
    except (OSError, ValueError) as error:
        raise AccountError(f"no answer from the directory at {path}: {error}") from None
    if not isinstance(found, dict) or not found.pop("ok", False):
        raise AccountError(str(found.get("error", "no sense")), str(found.get("hint", "")))
    return found
