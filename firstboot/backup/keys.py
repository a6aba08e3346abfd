"""What opens the backup: the machine's own password, and the recovery code on its owner's paper.

Both are keys of the restic repository. restic wraps the repository's one master key under each of
them (scrypt, then AES-256 and Poly1305), and keeps the wraps in the repository, so that repository
and code are enough, with or without Mailstead.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from firstboot.base.codes import GROUPS, new_recovery_code, random_text, read_recovery_code
from firstboot.base.errors import MachineError
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.paths import Paths

FORMAT = 1
PASSWORD_BYTES = 32
# Of 32 characters each; says which sheet of paper is the present one, and protects nothing.
_KIT_NAME = 4


@dataclass(frozen=True)
class Recovery:
    """The recovery code, and the kit that it was printed on.

    `kit` is the kit's name, `created` when the code was made (ISO 8601, UTC), `group` (1 to 7) the
    part that its owner is asked to type back, `confirmed` whether that was done.
    """

    kit: str
    code: str = field(repr=False)
    created: str
    group: int
    confirmed: bool = False

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(self.code.split("-"))


def repository_password(paths: Paths) -> bytes:
    """The machine's own password for its repositories, 64 hexadecimal digits; made at first use.

    It never changes: another one could not open the repositories that are there.
    """
    try:
        return _strip(paths.backup_password.read_bytes(), paths)
    except FileNotFoundError:
        pass
    password = secrets.token_hex(PASSWORD_BYTES)
    make_directory(paths.backup, mode=0o700)
    write_atomic(paths.backup_password, f"{password}\n", mode=0o600)
    return password.encode()


def read_recovery(paths: Paths) -> Recovery | None:
    """The present recovery code; None before there is one."""
    try:
        content = json.loads(paths.recovery_code.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError
        found = content["recovery"]
        code = read_recovery_code(str(found["code"]))
        if code is None:
            raise ValueError
        return Recovery(
            kit=str(found["kit"]),
            code=code,
            created=str(found["created"]),
            group=int(found["group"]),
            confirmed=found["confirmed"] is True,
        )
    except FileNotFoundError:
        return None
    except (OSError, KeyError, TypeError, ValueError):
        raise MachineError(
            f"{paths.recovery_code} does not hold a recovery code (format {FORMAT})",
            "Make a new one: mailstead backup kit --new",
        ) from None


def new_recovery(paths: Paths) -> Recovery:
    """Make another recovery code; the repositories learn of it when they are next used."""
    return keep_recovery(paths, Recovery(new_kit_name(), new_recovery_code(), _now(), _group()))


def present_recovery(paths: Paths) -> Recovery:
    """The present recovery code, made if there is none."""
    return read_recovery(paths) or new_recovery(paths)


def keep_recovery(paths: Paths, recovery: Recovery) -> Recovery:
    """Have `recovery` on disk as the present one."""
    make_directory(paths.backup, mode=0o700)
    content = {"format": FORMAT, "recovery": asdict(recovery)}
    write_atomic(paths.recovery_code, json.dumps(content, indent=2) + "\n", mode=0o600)
    return recovery


def known_recovery(kit: str, code: str) -> Recovery:
    """A code that its owner has typed whole, which confirms it."""
    return Recovery(kit, code, _now(), _group(), confirmed=True)


def new_kit_name() -> str:
    return random_text(_KIT_NAME)


def _group() -> int:
    return secrets.randbelow(GROUPS) + 1


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _strip(content: bytes, paths: Paths) -> bytes:
    password = content.strip()
    if len(password) != 2 * PASSWORD_BYTES:
        raise MachineError(
            f"{paths.backup_password} does not hold the password of the backups",
            "Restore the file from a backup, which the recovery code opens, too.",
        )
    return password
