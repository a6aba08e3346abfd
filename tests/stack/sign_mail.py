"""Signs messages as another server would; run by the host's own Python, which has dkimpy.

Reads a JSON list of {"message": base64, "domain", "selector", "key": PEM, "arc"} from its input
and prints a list of the messages, as base64, with what was put in front: a DKIM-Signature field, or
if `arc` is true the ARC set of a server that forwards it and has written its results into it
(RFC 8617).
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import dkim  # type: ignore[import-not-found]


def signed(task: dict[str, Any]) -> str:
    message = base64.b64decode(task["message"])
    selector, domain, key = (task[name].encode() for name in ("selector", "domain", "key"))
    if task["arc"]:
        fields = b"".join(dkim.arc_sign(message, selector, domain, key, domain))
    else:
        fields = dkim.sign(message, selector, domain, key)
    return base64.b64encode(fields + message).decode()


def main() -> None:
    print(json.dumps([signed(task) for task in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
