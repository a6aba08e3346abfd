"""What the server says it can do: only what works, in one list."""

from __future__ import annotations

CAPABILITIES = (
    "IMAP4rev1",
    "AUTH=PLAIN",
    "SASL-IR",
    "LITERAL+",
    "ID",
    "ENABLE",
    "IDLE",
    "NAMESPACE",
    "CHILDREN",
    "SPECIAL-USE",
    "UIDPLUS",
    "UNSELECT",
    "MOVE",
)

CAPABILITY_TEXT = " ".join(("CAPABILITY", *CAPABILITIES))
