"""How `dav` asks the mail store for calendars and contacts: frames with one JSON object each way.

A frame is its length (4 bytes, big-endian) and UTF-8. Every question but the first has `session`.

| `op` | Question | Answer |
|---|---|---|
| `login` | `login`, `password`, `address` | `verdict`, and when accepted `session`, `person` |
| `check` | | |
| `collections` | | `collections`: a list of COLLECTION |
| `create` | `name`, `properties`, `items` | |
| `properties` | `name`, `properties` | |
| `delete` | `name` | |
| `items` | `name`, `after`; `hrefs`, `component`, `begins`, `ends` or null | `items`, `more` |
| `has_uid` | `name`, `uid` | `found` |
| `put` | `name`, `item` | |
| `remove` | `name`, `href` | |
| `move` | `name`, `href`, `target`, `new` | |
| `changes` | `name`, `since` | `state`, `hrefs` |

Or `{"error": PROBLEM}`. A COLLECTION has `name`, `properties`, `state`, `changed`; an item has
`href`, `uid`, `component`, `etag`, `begins`, `ends`, `text`, `changed`: see
`storage.collection_values`.
"""

from __future__ import annotations

import json
import struct
from enum import Enum
from typing import Any

LENGTH = struct.Struct(">I")
# Before somebody has shown a session nothing but a login is of use.
FIRST_FRAME_BYTES = 16 * 1024
# A whole calendar that is uploaded at once, with what JSON makes of its line ends.
FRAME_BYTES = 24 * 1024 * 1024
PAGE_CHARACTERS = 1024 * 1024  # of texts in one answer, or one item


class Problem(Enum):
    """Why a question was not answered."""

    SESSION = "session"  # it has ended: log in again
    NOT_FOUND = "not found"
    UNKNOWN_STATE = "unknown state"
    NO_ROOM = "no room"  # the person's quota, or the disk
    UNAVAILABLE = "unavailable"
    BAD_QUESTION = "bad question"


def encode(message: dict[str, Any]) -> bytes:
    """Return a frame. Raises ValueError for a message that is too long."""
    data = json.dumps(message, ensure_ascii=False).encode()
    if len(data) > FRAME_BYTES:
        raise ValueError("the message is too long")
    return LENGTH.pack(len(data)) + data


def decode(data: bytes) -> dict[str, Any]:
    """Return the message of a frame without its length. Raises ValueError."""
    try:
        message = json.loads(data)
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(message, dict):
        raise ValueError("no object")
    return message
