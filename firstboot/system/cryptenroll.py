"""systemd-cryptenroll(1): the TPM and recovery keys as ways into a LUKS2 volume."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from firstboot.base.errors import CommandError, MachineError
from firstboot.base.run import Completed, run

# The types of the tokens that it writes.
TPM2 = "systemd-tpm2"
RECOVERY = "systemd-recovery"

# systemd-stub brings both in the UKI, systemd's tmpfiles.d/20-systemd-stub.conf puts them here.
PUBLIC_KEY = Path("/run/systemd/tpm2-pcr-public-key.pem")

# PCR 11 is what systemd-stub measures of a UKI, PCR 7 is Secure Boot and its keys
# (UAPI group, Linux TPM PCR Registry).
UKI_PCR = 11
SECURE_BOOT_PCR = 7

# systemd's recovery keys: 256 bits as 8 groups of modhex, see its `make_recovery_key`.
GROUPS = 8
RECOVERY_KEY = re.compile(rf"[cbdefghijklnrtuv]{{8}}(-[cbdefghijklnrtuv]{{8}}){{{GROUPS - 1}}}")

# A TPM under emulation takes its time.
SECONDS = 300.0


def enrol_tpm2(device: Path, unlock: Path | None, *, public_key: Path, secure_boot: bool) -> None:
    """Let the TPM open the volume for each UKI that the owner of `public_key` has signed.

    With `secure_boot`, only as long as Secure Boot and its keys stay as they are now. Does nothing
    when a TPM is enrolled with just this policy, be it another TPM. `unlock` is a file with a key
    that opens the volume now, None for the TPM itself (another policy of it).
    """
    _cryptenroll(
        _unlocking(unlock),
        "--tpm2-device=auto",
        f"--tpm2-pcrs={SECURE_BOOT_PCR if secure_boot else ''}",
        f"--tpm2-public-key={public_key}",
        f"--tpm2-public-key-pcrs={UKI_PCR}",
        device,
    )


def enrol_recovery_key(device: Path, unlock: Path | None) -> str:
    """A new recovery key in a new slot; it is a secret that nobody else has seen."""
    printed = _cryptenroll(_unlocking(unlock), "--recovery-key", device).stdout.strip()
    if not RECOVERY_KEY.fullmatch(printed):
        raise MachineError("systemd-cryptenroll made a recovery key of an unknown form")
    return printed


def wipe_slots(device: Path, slots: Sequence[int]) -> None:
    """Take slots and their tokens away; refused (CommandError) when none would be left."""
    if slots:
        _cryptenroll(f"--wipe-slot={','.join(map(str, slots))}", device)


def _unlocking(key_file: Path | None) -> str:
    return f"--unlock-key-file={key_file}" if key_file else "--unlock-tpm2-device=auto"


def _cryptenroll(*arguments: str | Path) -> Completed:
    """Run it. Its errors only are shown: on standard output there may be a key."""
    done = run(["systemd-cryptenroll", *arguments], check=False, timeout=SECONDS)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise CommandError(f"systemd-cryptenroll failed: {last}", returncode=done.returncode)
    return done
