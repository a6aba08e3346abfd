"""A model of an encrypted disk: what cryptsetup and systemd-cryptenroll do to one, as far as used.

It takes the place of run(), so that power can be cut between any two steps, and it can tell
whether the initrd would get the disk open.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firstboot.base.errors import CommandError
from firstboot.base.run import Completed
from firstboot.disk.places import Places

MODHEX = "cbdefghijklnrtuv"


class PowerCut(BaseException):
    """Not an Exception: nothing may catch it."""


@dataclass
class Slot:
    """What opens a slot: a secret, or a TPM by its serial number with a policy."""

    secret: str
    token: dict[str, Any] | None = None
    tpm: int | None = None


@dataclass
class Disk:
    """The header, the TPM of the board that it is in, and how many steps the power lasts.

    A forgetful TPM takes keys and does not give them back.
    """

    places: Places
    slots: dict[int, Slot] = field(default_factory=dict)
    tpm: int | None = None
    forgetful: bool = False
    lasts: int = 10_000
    steps: int = 0
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, argv: Sequence[str | Path], **options: Any) -> Completed:
        """Stands for firstboot.base.run.run."""
        words = tuple(str(word) for word in argv)
        self.calls.append(words)
        stdin = options.get("stdin") or ""
        text = stdin.decode() if isinstance(stdin, bytes) else str(stdin)
        self.step()
        try:
            out = self._program(words)(words[1:], text)
        except LookupError as error:
            if options.get("check", True):
                raise CommandError(str(error)) from None
            return Completed(words, 1, "", f"first line\n{error}\n")
        return Completed(words, 0, out, "noise\n")

    def step(self) -> None:
        """One more step that the power may not last for."""
        if self.steps >= self.lasts:
            raise PowerCut
        self.steps += 1

    def start(self, *, typed: str | None = None) -> str | None:
        """What the initrd does at a start, and what opened the disk; None when nothing did."""
        runtime = self.places.paths.runtime
        for name in ("unlocked-by", "unlock-key", "passing-key", "recovery-key", "tpm-closed"):
            (runtime / name).unlink(missing_ok=True)
        runtime.mkdir(parents=True, exist_ok=True)
        opened = self._open(typed)
        if opened is not None:
            (runtime / "unlocked-by").write_text(opened + "\n")
        if opened == "typed" and typed is not None:
            (runtime / "unlock-key").write_text(typed)
        return opened

    def close_tpm(self) -> None:
        """What mailstead-boot.service does when `mailstead boot` is done."""
        self.places.tpm_closed.touch()

    def _open(self, typed: str | None) -> str | None:
        if any(slot.tpm is not None and slot.tpm == self.tpm for slot in self.slots.values()):
            return "tpm2"
        key_file = self.places.key_file
        if key_file.exists() and self.fits(key_file.read_text()):
            return "key-file"
        return "typed" if typed is not None and self.fits(typed) else None

    def fits(self, secret: str) -> bool:
        return any(slot.secret == secret for slot in self.slots.values())

    def ways(self) -> list[str]:
        """The types of the tokens in the header, sorted; "" for slots without."""
        return sorted(slot.token["type"] if slot.token else "" for slot in self.slots.values())

    def _program(self, words: tuple[str, ...]) -> Callable[[tuple[str, ...], str], str]:
        known = {
            ("cryptsetup", "luksDump"): self._dump,
            ("cryptsetup", "luksAddKey"): self._add_key,
            ("cryptsetup", "token"): self._mark,
        }
        return self._cryptenroll if words[0] == "systemd-cryptenroll" else known[words[0], words[1]]

    def _dump(self, words: tuple[str, ...], stdin: str) -> str:
        assert words[1] == "--dump-json-metadata"
        tokens = [
            {**slot.token, "keyslots": [str(number)]}
            for number, slot in self.slots.items()
            if slot.token
        ]
        return json.dumps(
            {
                "keyslots": {str(number): {"type": "luks2"} for number in self.slots},
                "tokens": {str(number): token for number, token in enumerate(tokens)},
            }
        )

    def _add_key(self, words: tuple[str, ...], stdin: str) -> str:
        slot = int(words[words.index("--new-key-slot") + 1])
        key_file = Path(words[words.index("--key-file") + 1])
        if not self.fits(key_file.read_text()):
            raise LookupError("No key available with this passphrase.")
        assert slot not in self.slots
        self.slots[slot] = Slot(stdin)
        return ""

    def _mark(self, words: tuple[str, ...], stdin: str) -> str:
        token = json.loads(stdin)
        (slot,) = token["keyslots"]
        self.slots[int(slot)].token = token
        return ""

    def _cryptenroll(self, words: tuple[str, ...], stdin: str) -> str:
        options = dict(word.partition("=")[::2] for word in words if word.startswith("--"))
        if "--wipe-slot" in options:
            return self._wipe([int(slot) for slot in options["--wipe-slot"].split(",")])
        key_file = options.get("--unlock-key-file")
        if key_file is None:
            assert options["--unlock-tpm2-device"] == "auto"
            if self.places.tpm_closed.exists() or self._open(None) != "tpm2":
                raise LookupError("No TPM2 metadata matching the current system state found.")
        elif not self.fits(Path(key_file).read_text()):
            raise LookupError("Unlocking via keyfile failed: Operation not permitted")
        return self._recovery() if "--recovery-key" in options else self._tpm2(options)

    def _wipe(self, slots: list[int]) -> str:
        if set(self.slots) <= set(slots):
            raise LookupError("Wipe operation would leave no valid slots around")
        for slot in slots:
            del self.slots[slot]
        return ""

    def _recovery(self) -> str:
        groups = ("".join(secrets.choice(MODHEX) for _ in range(8)) for _ in range(8))
        key = "-".join(groups)
        self.slots[self._free()] = Slot(key, {"type": "systemd-recovery"})
        return key + "\n"

    def _tpm2(self, options: dict[str, str]) -> str:
        assert options["--tpm2-device"] == "auto"
        assert Path(options["--tpm2-public-key"]).is_file()
        token = {
            "type": "systemd-tpm2",
            "tpm2-pcrs": [int(pcr) for pcr in options["--tpm2-pcrs"].split("+") if pcr],
            "tpm2_pubkey_pcrs": [int(options["--tpm2-public-key-pcrs"])],
        }
        # As it is: the same policy counts as enrolled, even if another TPM was.
        if all(slot.token != token for slot in self.slots.values()):
            self.slots[self._free()] = Slot(
                secrets.token_hex(8), token, None if self.forgetful else self.tpm
            )
        return ""

    def _free(self) -> int:
        return next(slot for slot in range(32) if slot not in self.slots)
