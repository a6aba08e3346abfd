"""What protects the disk, told honestly: which ways lead in, and whom they keep out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from firstboot.base.errors import MachineError
from firstboot.disk.places import Places
from firstboot.disk.recovery import read_record
from firstboot.disk.volume import PASSPHRASE, Volume, Way, read_opened_by, read_volume
from firstboot.system.cryptenroll import RECOVERY, SECURE_BOOT_PCR, TPM2, UKI_PCR
from firstboot.system.secureboot import SecureBoot, read_secure_boot

OURS = {TPM2, RECOVERY, PASSPHRASE}
WAYS: tuple[Way, ...] = ("tpm2", "key-file", "passphrase", "recovery")

_OPEN = "Whoever has the disk can read it: it is not encrypted."
_KEY_FILE = "Whoever has the disk can read it: the key lies beside it. It only makes wiping easy."
_TPM_SECURE = (
    "A stolen disk is unreadable, and a stolen machine gives the key only to our own system; "
    "whoever can take its memory or TPM apart may still get it."
)
_TPM_ALONE = (
    "A stolen disk is unreadable; whoever takes the whole machine and can boot another system on "
    "it may get the key: turn on Secure Boot."
)
_TPM_UNSIGNED = (
    "A stolen disk is unreadable; whoever takes the whole machine may get the key: the TPM gives "
    "it to other systems than ours."
)
_TYPED = (
    "A stolen disk or machine that is switched off is unreadable for as long as nobody guesses "
    "the passphrase."
)
_RECOVERY = "A stolen disk or machine that is switched off is unreadable without the recovery key."
_UNCONFIRMED = " Whoever starts this machine can read its recovery key on the screen: confirm it."
_UNKNOWN = " There are ways in that Mailstead did not make."


@dataclass(frozen=True)
class WayIn:
    """A way to open the disk, and its key slots. A name that is not ours is a token's type."""

    name: str
    slots: tuple[int, ...]


@dataclass(frozen=True)
class DiskProtection:
    """What `mailstead status` and `mailstead disk status` show of it.

    `tpm_policy` is what the TPM demands, "" without a TPM among the ways; `words` is one sentence
    (or two) on whom all of it keeps out.
    """

    unlocked_by: str
    ways: tuple[WayIn, ...]
    tpm_policy: str
    secure_boot: SecureBoot
    recovery_confirmed: bool
    words: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """Names and values for people, for a table in columns."""
        ways = ", ".join(f"{way.name} (slot {_join(way.slots)})" for way in self.ways)
        rows = [
            ("disk opened by", self.unlocked_by),
            ("ways into it", ways or "none needed"),
            ("TPM demands", self.tpm_policy),
            ("Secure Boot", self.secure_boot),
            ("recovery key", "confirmed" if self.recovery_confirmed else "NOT CONFIRMED"),
            ("protection", self.words),
        ]
        return [(name, value) for name, value in rows if value]


def read_protection(places: Places) -> DiskProtection:
    """Look at the header; root only. CommandError or MachineError when it cannot be read."""
    secure_boot = read_secure_boot(places.paths.efivars)
    if not places.mapper.exists():
        return DiskProtection("nothing", (), "", secure_boot, False, _OPEN)
    volume = read_volume(places)
    return DiskProtection(
        read_opened_by(places),
        _ways(volume),
        _policy(volume),
        secure_boot,
        _is_confirmed(volume),
        _words(volume, secure_boot),
    )


def _ways(volume: Volume) -> tuple[WayIn, ...]:
    ways = [WayIn(way, volume.slots(way)) for way in WAYS if volume.slots(way)]
    ways += [WayIn(name, volume.header.slots_of(name)) for name in _foreign(volume)]
    return tuple(ways)


def _foreign(volume: Volume) -> list[str]:
    return sorted({token.type for token in volume.header.tokens} - OURS)


def _is_confirmed(volume: Volume) -> bool:
    try:
        record = read_record(volume.places)
    except MachineError:
        return False
    return record is not None and record.confirmed and record.slot in volume.slots("recovery")


def _policy(volume: Volume) -> str:
    """What the weakest of the TPM's enrolments demands."""
    tokens = [token for token in volume.header.tokens if token.type == TPM2]
    if not tokens:
        return ""
    signed = all(UKI_PCR in token.signed_pcrs for token in tokens)
    bound = all(SECURE_BOOT_PCR in token.pcrs for token in tokens)
    parts = [f"PCR {UKI_PCR} signed"] * signed + [f"PCR {SECURE_BOOT_PCR}"] * bound
    return " + ".join(parts) or "no policy"


def _words(volume: Volume, secure_boot: SecureBoot) -> str:
    """The weakest of the ways decides."""
    policy = _policy(volume)
    if volume.slots("key-file"):
        words = _KEY_FILE
    elif policy:
        secure = f"PCR {SECURE_BOOT_PCR}" in policy and secure_boot == "enforced"
        words = _TPM_SECURE if secure else _TPM_ALONE
        if f"PCR {UKI_PCR}" not in policy:
            words = _TPM_UNSIGNED
    elif volume.slots("passphrase"):
        words = _TYPED
    else:
        words = _RECOVERY
    starts_alone = bool(policy or volume.slots("key-file"))
    if starts_alone and not _is_confirmed(volume):
        words += _UNCONFIRMED
    return words + (_UNKNOWN if _foreign(volume) else "")


def _join(slots: tuple[int, ...]) -> str:
    return ", ".join(map(str, slots))
