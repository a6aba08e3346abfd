"""Signs a message as another server would; run by the host's own Python, which has dkimpy.

Reads {"message": base64, "domain", "selector", "key": PEM, "arc"} from standard input and prints
the message, as base64, with what was put in front: a DKIM-Signature field, or if `arc` is true the
ARC set of a server that forwards it and has written its results into it (RFC 8617).
"""

from __future__ import annotations

import base64
import json
import sys

import dkim  # type: ignore[import-not-found]


def main() -> None:
    task = json.load(sys.stdin)
    message = base64.b64decode(task["message"])
    selector, domain, key = (task[name].encode() for name in ("selector", "domain", "key"))
    if task["arc"]:
        fields = b"".join(dkim.arc_sign(message, selector, domain, key, domain))
    else:
        fields = dkim.sign(message, selector, domain, key)
    print(base64.b64encode(fields + message).decode())


if __name__ == "__main__":
    main()
