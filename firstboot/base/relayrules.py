"""What the settings of a smart host must be; no I/O.

Like those of `rules.py`, each `…_problem` returns `expected …` (or `expected …, got …`) or None.
"""

from __future__ import annotations

from firstboot.base.located import Located

# RFC 8314, 3.3 and 7.3: submission with TLS from the first byte, and with STARTTLS.
RELAY_PORTS = {"starttls": 587, "implicit": 465}
_MOST = 1000


def relay_username_problem(text: str) -> str | None:
    """For a user name at a smart host: Postfix keeps it before a colon, in one word."""
    word = text.isascii() and text.isprintable() and not set(text) & {" ", ":"}
    if word and 1 <= len(text) <= 254:
        return None
    return "expected a user name of ASCII characters, without blanks and colons"


def relay_password_problem(text: str) -> str | None:
    """For its password; never shows it. Postfix takes away blanks at the ends of a line."""
    fits = text.isascii() and text.isprintable() and 1 <= len(text) <= _MOST
    if fits and text == text.strip():
        return None
    return "expected ASCII characters without blanks at the ends, got another text"


def check_relay(document: Located) -> None:
    """Note a part of what a smart host needs without the others, and a port of the other TLS."""
    root = document.value
    relay = root.get("relay") if isinstance(root, dict) else None
    if not isinstance(relay, dict):
        return
    given = [
        key for key in ("host", "port", "username", "password", "spf") if relay.get(key) is not None
    ]
    if given and "host" not in given and not document.wrong(("relay", "host")):
        document.add(("relay", "host"), f"expected together with {given[0]}, got nothing")
    for key, other in (("username", "password"), ("password", "username")):
        if other in given and key not in given and not document.wrong(("relay", key)):
            document.add(("relay", key), f"expected together with {other}, got nothing")
    host, own = relay.get("host"), root.get("hostname") if isinstance(root, dict) else None
    if isinstance(host, str) and isinstance(own, str) and host.lower() == own.lower():
        document.add(("relay", "host"), f"expected another machine than this one, got {host!r}")
    tls = relay.get("tls") or "starttls"
    for kind, port in RELAY_PORTS.items():
        if relay.get("port") == port and tls in RELAY_PORTS and tls != kind:
            document.add(("relay", "tls"), f"expected {kind!r} with port {port}, got {tls!r}")
