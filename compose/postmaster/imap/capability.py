"""What the server says it can do: only what works, in one list."""

from __future__ import annotations

CAPABILITIES = (
    "IMAP4rev1",
    "IMAP4rev2",  # RFC 9051; once enabled
    "AUTH=PLAIN",
    "SASL-IR",
    "LITERAL+",  # RFC 7888
    "COMPRESS=DEFLATE",  # RFC 4978
    "ID",  # RFC 2971
    "ENABLE",  # RFC 5161
    "IDLE",  # RFC 2177
    "NAMESPACE",  # RFC 2342
    "CHILDREN",  # RFC 3348
    "LIST-EXTENDED",  # RFC 5258
    "LIST-STATUS",  # RFC 5819
    "SPECIAL-USE",  # RFC 6154
    "CREATE-SPECIAL-USE",
    "STATUS=SIZE",  # RFC 8438
    "UIDPLUS",  # RFC 4315
    "UNSELECT",  # RFC 3691
    "MOVE",  # RFC 6851
    "MULTIAPPEND",  # RFC 3502
    "BINARY",  # RFC 3516
    "CONDSTORE",  # RFC 7162
    "QRESYNC",
    "ESEARCH",  # RFC 4731
    "SEARCHRES",  # RFC 5182
    "WITHIN",  # RFC 5032
    "SORT",  # RFC 5256
    "SORT=DISPLAY",  # RFC 5957
    "THREAD=REFERENCES",  # RFC 5256
    "OBJECTID",  # RFC 8474
    "PREVIEW",  # RFC 8970
    "QUOTA",  # RFC 9208
    "QUOTA=RES-STORAGE",
    "UTF8=ACCEPT",  # RFC 9755
)

# What ENABLE can turn on.
CONDSTORE, QRESYNC, UTF8_ACCEPT, REV2 = "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "IMAP4rev2"
ENABLEABLE = (CONDSTORE, QRESYNC, UTF8_ACCEPT, REV2)


def capability_text(message_size_limit: int) -> str:
    """Return the CAPABILITY data; `message_size_limit` is in bytes (APPENDLIMIT, RFC 7889)."""
    return " ".join(("CAPABILITY", *CAPABILITIES, f"APPENDLIMIT={message_size_limit}"))
