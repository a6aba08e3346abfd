"""Where the protection of the disk finds and leaves things, in one value that tests can move."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from firstboot.base.paths import Paths
from firstboot.system import cryptenroll, cryptsetup, tpm

MAPPER = cryptsetup.STATE


@dataclass(frozen=True)
class Places:
    """Files of ours, and of kernel and systemd, that have to do with the encrypted state."""

    paths: Paths = field(default_factory=Paths)
    mapper: Path = MAPPER
    block: Path = cryptsetup.BLOCK
    tpms: Path = tpm.DEVICES
    public_key: Path = cryptenroll.PUBLIC_KEY

    @classmethod
    def below(cls, root: Path) -> Places:
        """The same places below another root directory."""
        moved = (MAPPER, cryptsetup.BLOCK, tpm.DEVICES, cryptenroll.PUBLIC_KEY)
        return cls(Paths.below(root), *(root / str(path).lstrip("/") for path in moved))

    @property
    def record(self) -> Path:
        """What lasts: whether the owner has the recovery key."""
        return self.paths.state_partition / "disk.json"

    @property
    def key_file(self) -> Path:
        """The key that lies beside the lock; the initrd reads it."""
        return self.paths.esp / "mailstead-state.key"

    @property
    def unlocked_by(self) -> Path:
        """One word of the initrd: tpm2, key-file or typed."""
        return self.paths.runtime / "unlocked-by"

    @property
    def tpm_closed(self) -> Path:
        """Stands once the TPM does not give its key any more until the next start.

        mailstead-boot.service closes it (systemd-pcrextend) before anything executes from the
        state: whoever put another state there would ask the TPM for the key of the real one.
        """
        return self.paths.runtime / "tpm-closed"

    @property
    def unlock_key(self) -> Path:
        """What was typed to open the disk. In memory, for root only, and only until it was used.

        Root could read the volume key from the kernel in that moment anyhow.
        """
        return self.paths.runtime / "unlock-key"

    @property
    def passing_key(self) -> Path:
        """A key that exists for the time of one change to the header."""
        return self.paths.runtime / "passing-key"

    @property
    def pending(self) -> Path:
        """The new recovery key, in memory, until the owner has confirmed to have it."""
        return self.paths.runtime / "recovery-key"
