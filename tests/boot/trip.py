"""Sends a mail through a machine and reads it back; run inside the network that it is reached from.

Reads {"host": …, "example": {hostname, address, password}, "ports": {…}, "seconds": …,
"patience": …} from the file that is named, and prints the bytes of the message as JSON.
"""

from __future__ import annotations

import json
import ssl
import sys
from pathlib import Path
from unittest import mock

from firstboot.base import roundtrip


def main(path: Path) -> None:
    task = json.loads(path.read_text(encoding="utf-8"))
    host, ports = task["host"], task["ports"]
    # Nobody inside can be asked for the certificate, so the first one seen is trusted.
    seen = ssl.get_server_certificate((host, ports["imaps"]), timeout=task["patience"])
    account = roundtrip.Account(
        **task["example"],
        submission=ports["submission"],
        imaps=ports["imaps"],
        context=roundtrip.trusting(seen),
        patience=task["patience"],
    )
    # A machine looks at itself; this looks at it from outside.
    with mock.patch.object(roundtrip, "LOOPBACK", host):
        done = roundtrip.round_trip(account, timeout=task["seconds"])
    print(json.dumps(done.bytes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
