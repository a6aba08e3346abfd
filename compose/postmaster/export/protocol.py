"""How `admin` asks the mail store for what is in somebody's vault: one question a connection.

The question is a line of JSON: `op`, `pass` (of `directory.passes`), and for `export` `texts`: by
their names, files that the archive begins with. The answer is a line of JSON:

| `op` | Answer |
|---|---|
| `count` | `ok`, `bytes`, `messages`, `limit` (bytes, null), `folders`, `collections` |
| `export` | `ok`; then the ZIP file in frames: a length (4 bytes, big-endian), and so many bytes |

A frame of no length says that the file is whole; without one it is not. A folder has `name`,
`messages`, `bytes`; a collection `name`, `calendar` (whether it is one), `items`, `bytes`. Or
`{"ok": false, "problem": PROBLEM}`.
"""

from __future__ import annotations

import struct
from enum import Enum

LENGTH = struct.Struct(">I")
QUESTION_BYTES = 64 * 1024
ANSWER_BYTES = 4 * 1024 * 1024  # of folders that were counted
FRAME_BYTES = 64 * 1024


class Problem(Enum):
    """Why a question was not answered."""

    PASS = "pass"  # it is not good, or not any more  # noqa: S105
    BUSY = "busy"  # this person's export, or too many others', are under way
    UNAVAILABLE = "unavailable"
    BAD_QUESTION = "bad question"
