"""The recovery key: made anew at each start until its owner has confirmed to have it."""

from __future__ import annotations

import hmac
import json
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from firstboot.base.errors import MachineError
from firstboot.base.files import make_directory, sync_directory, write_atomic
from firstboot.disk.places import Places
from firstboot.disk.volume import find_key, read_volume
from firstboot.system.cryptenroll import GROUPS, RECOVERY_KEY, enrol_recovery_key, wipe_slots

FORMAT = 1


@dataclass(frozen=True)
class Record:
    """What lasts of a recovery key: when it was made (ISO 8601, UTC), and its slot."""

    created: str
    confirmed: bool
    slot: int


@dataclass(frozen=True)
class Pending:
    """A recovery key that has not been confirmed; `group` (1 to 8) is the part to be typed."""

    key: str
    group: int
    slot: int
    created: str

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(self.key.split("-"))


def read_record(places: Places) -> Record | None:
    """None before the first recovery key; MachineError when the file is not what we wrote."""
    content = _read_json(places.record)
    if content is None:
        return None
    try:
        if content["format"] != FORMAT:
            raise ValueError
        found = content["recovery"]
        return Record(str(found["created"]), found["confirmed"] is True, int(found["slot"]))
    except (KeyError, TypeError, ValueError):
        raise MachineError(
            f"{places.record} is not a record of a recovery key (format {FORMAT})",
            "Make a new recovery key: mailstead disk recovery-key new",
        ) from None


def read_pending(places: Places) -> Pending | None:
    """The key that waits for confirmation, None when none does."""
    content = _read_json(places.pending)
    try:
        return None if content is None else Pending(**content)
    except TypeError:
        raise MachineError(f"{places.pending} is not a recovery key") from None


def settle_recovery(places: Places) -> bool:
    """See to it that there is a recovery key that the owner has or is being shown.

    True when a new one was made. At most one is made at each start. A recovery key that was typed
    to open the disk needs no other confirmation. (Typed later, while another is shown, it has
    opened nothing yet.)
    """
    volume = read_volume(places)
    slots = volume.slots("recovery")
    record, pending = read_record(places), read_pending(places)
    typed = pending is None and _was_typed(places)
    if record is not None and not record.confirmed and typed and len(slots) == 1:
        record = Record(record.created, True, slots[0])
        _write_record(places, record)
    if record is not None and record.slot in slots:
        shown = pending is not None and pending.slot == record.slot
        if record.confirmed or shown:
            wipe_slots(volume.device, [slot for slot in slots if slot != record.slot])
            return False
    new_recovery_key(places)
    return True


def new_recovery_key(places: Places) -> Pending:
    """Make a recovery key, and then take all others away. Nobody has it yet."""
    volume = read_volume(places)
    key = enrol_recovery_key(volume.device, find_key(volume))
    before = volume.slots("recovery")
    (slot,) = set(read_volume(places).slots("recovery")) - set(before)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    pending = Pending(key, secrets.randbelow(GROUPS) + 1, slot, created)
    # On disk before the old key goes: a cut in between makes a new one at the next start.
    _write_record(places, Record(created, False, slot))
    make_directory(places.paths.runtime)
    write_atomic(places.pending, json.dumps(asdict(pending)), mode=0o600)
    wipe_slots(volume.device, before)
    return pending


def renew_at_next_start(places: Places) -> None:
    """Have the next start make another recovery key; until then this one opens the disk.

    For an owner who has lost it, so that nothing but the TPM at a start opens the disk.
    """
    places.record.unlink(missing_ok=True)
    sync_directory(places.record.parent)


def confirm(places: Places, answer: str) -> bool:
    """Whether `answer` is the group asked for; then the key counts as the owner's from now on.

    MachineError when no key waits for confirmation.
    """
    pending = read_pending(places)
    if pending is None:
        raise MachineError(
            "no recovery key is waiting to be confirmed",
            "To get a new one: mailstead disk recovery-key new",
        )
    wanted = pending.groups[pending.group - 1]
    if not hmac.compare_digest(answer.strip().lower().encode(), wanted.encode()):
        return False
    _write_record(places, Record(pending.created, True, pending.slot))
    places.pending.unlink(missing_ok=True)
    return True


def normalized(typed: str) -> str:
    """A recovery key as it is, from how people type it; anything else unchanged."""
    letters = typed.lower().replace(" ", "").replace("-", "")
    key = "-".join(letters[start : start + 8] for start in range(0, len(letters), 8))
    return key if RECOVERY_KEY.fullmatch(key) else typed


def _was_typed(places: Places) -> bool:
    try:
        return bool(RECOVERY_KEY.fullmatch(places.unlock_key.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError):
        return False


def _write_record(places: Places, record: Record) -> None:
    content = {"format": FORMAT, "recovery": asdict(record)}
    write_atomic(places.record, json.dumps(content, indent=2) + "\n", mode=0o600)


def _read_json(path: Path) -> Any:
    """The content of a file, None when there is no such file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise MachineError(f"{path} cannot be read: {error}") from None
