"""What it takes to get in at each kind of place, in the form that the program behind it knows.

It is the same text everywhere: in a target's file in the state, in the file that a restore is
given, and made of what a person types at the console.
"""

from __future__ import annotations

import re

from firstboot.base.backupplaces import Kind

MOST_BYTES = 64 * 1024
FORMS: dict[Kind, str] = {
    "s3": "a credentials file of AWS: [default], aws_access_key_id = …, aws_secret_access_key = …",
    "sftp": "a private key as ssh-keygen writes it (without a passphrase), then the server's lines "
    "of known_hosts, which ssh-keyscan prints",
    "rest": "one line, USER:PASSWORD",
    "rclone": "the section of the remote in rclone.conf, as `rclone config show REMOTE` prints it",
    "disk": "nothing: a disk needs none",
    "folder": "nothing: a folder needs none",
}
# A REST server may let everybody in; all others do not.
NEEDED: frozenset[Kind] = frozenset({"s3", "sftp", "rclone"})
# What one line can answer. A private key or a section of rclone's has more.
_QUESTIONS: dict[Kind, str] = {
    "s3": "Access key's id and secret, with a blank between",
    "rest": "USER:PASSWORD of the REST server (- if it asks for none)",
}
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----",
                          re.DOTALL)  # fmt: skip


def credentials_problem(kind: Kind, text: str) -> str | None:
    """What is wrong with credentials, without a word of them; None if nothing."""
    if len(text) > MOST_BYTES:
        return "expected less"
    right = {
        "s3": "aws_access_key_id" in text and "aws_secret_access_key" in text,
        "sftp": bool(private_key(text)),
        "rest": len(text.strip().splitlines()) == 1 and ":" in text,
        "rclone": bool(re.search(r"^\[.+\]\s*$", text, re.MULTILINE) and "=" in text),
        "disk": False,
        "folder": False,
    }[kind]
    return None if right else f"expected {FORMS[kind]}"


def question(kind: Kind) -> str:
    """How to ask for credentials that one line answers; "" where it cannot, or there are none."""
    return _QUESTIONS.get(kind, "")


def typed(kind: Kind, answer: str) -> str:
    """Credentials in their form, of an answer to `question`; what is no answer stays as it is."""
    words = answer.split()
    if kind == "s3" and len(words) == 2:
        return f"[default]\naws_access_key_id = {words[0]}\naws_secret_access_key = {words[1]}\n"
    return "" if words == ["-"] else answer


def private_key(text: str) -> str | None:
    """The private key in credentials for SFTP, None when there is none."""
    found = _PRIVATE_KEY.search(text)
    return f"{found[0]}\n" if found else None


def known_hosts(text: str) -> list[str]:
    """The lines by which an SFTP server is known."""
    rest = _PRIVATE_KEY.sub("", text).splitlines()
    return [line for line in rest if line.strip() and not line.startswith("#")]
