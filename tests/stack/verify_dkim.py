"""Verifies the DKIM signatures of a message; run by the host's own Python, which has dkimpy.

Reads {"message": base64, "records": {name: text}} from standard input and prints, for each
signature, its domain, selector and algorithm, and whether it verifies, as JSON.
"""

from __future__ import annotations

import base64
import json
import re
import sys

import dkim  # type: ignore[import-not-found]


def main() -> None:
    task = json.load(sys.stdin)
    message = base64.b64decode(task["message"])
    records = {name.encode(): text.encode() for name, text in task["records"].items()}
    head = re.split(rb"\r?\n\r?\n", message, maxsplit=1)[0]
    found = []
    for index in range(len(re.findall(rb"(?im)^DKIM-Signature:", head))):
        verifier = dkim.DKIM(message)
        try:
            valid = verifier.verify(index, dnsfunc=lambda name, **_: records.get(name))
        except dkim.DKIMException:
            valid = False
        fields = {key.decode(): value.decode() for key, value in verifier.signature_fields.items()}
        found.append([fields["d"], fields["s"], fields["a"], valid])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
