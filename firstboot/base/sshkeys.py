"""What a public key of SSH and a network that may log in must be; no I/O, no model.

Each `…_problem` returns `expected …, got …` or None, as those in `rules` do.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress

from firstboot.base.located import Located

# What openssh's ssh-keygen makes and a strict server takes; DSA is gone, RSA has a least size.
KEY_TYPES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)
# Beside the ports of the stack, while SSH is on.
PORT = 22
# NIST SP 800-57 part 1, table 2: 128 bits of security.
MIN_RSA_BITS = 3072
MAX_KEYS = 32
# Addresses that no router of the internet forwards (RFC 1918, RFC 4193), and those of one link.
LOCAL_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")

_EXPECTED = "expected one line of a public key, as in the file id_ed25519.pub"


def key_problem(text: str) -> str | None:
    """For one line of authorized_keys(5) without options: type, base64 and a comment."""
    if "PRIVATE KEY" in text:
        return f"{_EXPECTED}, got a private key (keep that to yourself)"
    words = text.split(" ", 2)
    if len(text) > 16_000 or not text.isprintable() or len(words) < 2:
        return f"{_EXPECTED}, got something else"
    if words[0] not in KEY_TYPES:
        return f"{_EXPECTED}, got a line that begins with {words[0][:40]!r}"
    try:
        blob = base64.b64decode(words[1], validate=True)
        fields = _fields(blob)
    except (binascii.Error, ValueError):
        return f"{_EXPECTED}, got a damaged one (was it copied whole?)"
    if not fields or fields[0] != words[0].encode():
        return f"{_EXPECTED}, got one whose type is not what it says"
    return _strength_problem(words[0], fields)


def network_problem(text: str) -> str | None:
    """For a network in CIDR form, such as 192.0.2.0/24."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return "expected a network such as 192.0.2.0/24 or 2001:db8::/64"
    return None


def check_ssh(document: Located) -> None:
    """Note what only the whole can tell: whoever switches SSH on gives at least one key."""
    ssh = document.value.get("ssh") if isinstance(document.value, dict) else None
    if not isinstance(ssh, dict) or document.wrong(("ssh",)):
        return
    keys, networks = ssh.get("keys", ()), ssh.get("networks", LOCAL_NETWORKS)
    if ssh.get("enabled") is True:
        if not keys:
            place = ("ssh", "keys") if "keys" in ssh else ("ssh",)
            document.add(place, "expected at least one key with enabled: true, got none")
        if not networks:
            document.add(("ssh", "networks"), "expected at least one network, got none")
    if isinstance(keys, tuple) and len(keys) > MAX_KEYS:
        document.add(("ssh", "keys"), f"expected at most {MAX_KEYS} keys, got {len(keys)}")


def _strength_problem(kind: str, fields: list[bytes]) -> str | None:
    if kind == "ssh-rsa":
        # RFC 4253, 6.6: type, exponent, modulus.
        bits = int.from_bytes(fields[2], "big").bit_length() if len(fields) == 3 else 0
        if bits < MIN_RSA_BITS:
            return f"expected an RSA key of at least {MIN_RSA_BITS} bits, got {bits}"
    if kind == "ssh-ed25519" and (len(fields) != 2 or len(fields[1]) != 32):
        return f"{_EXPECTED}, got a damaged one (was it copied whole?)"
    return None


def _fields(blob: bytes) -> list[bytes]:
    """The strings of a key, each behind its length (RFC 4251, section 5); ValueError if broken."""
    fields = []
    while blob:
        length = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + length:
            raise ValueError("a field is cut off")
        fields.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return fields
