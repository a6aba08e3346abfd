"""Finds the UEFI firmware that the host's distribution ships for QEMU.

Distributions describe their firmware files in JSON, so no file name of any of them stands here
(QEMU, docs/interop/firmware.json).
"""

from __future__ import annotations

import fnmatch
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tools.vm.errors import VirtualMachineError

ARCHITECTURE = "x86_64"
# Any versioned q35 machine; descriptors hold globs such as `pc-q35-*`.
MACHINE = "pc-q35-7.2"

# Firmware for confidential guests needs hardware that we do not ask for.
_UNWANTED = frozenset({"amd-sev-snp", "intel-tdx"})


@dataclass(frozen=True)
class Firmware:
    """A pair of flash images: the code, and the template of the variable store."""

    code: Path
    variables: Path
    code_format: Literal["raw", "qcow2"] = "raw"
    variables_format: Literal["raw", "qcow2"] = "raw"
    requires_smm: bool = False

    def machine_arguments(self) -> list[str]:
        """Arguments for QEMU's machine type; Secure Boot's store is only safe behind SMM."""
        if not self.requires_smm:
            return ["-machine", "q35"]
        flash = "driver=cfi.pflash01,property=secure,value=on"
        return ["-machine", "q35,smm=on", "-global", flash]

    def flash_arguments(self, variables: Path) -> list[str]:
        """Arguments for QEMU's flash: our own copy of the variable store is writable."""
        code = f"if=pflash,unit=0,format={self.code_format},readonly=on,file={escape(self.code)}"
        store = f"if=pflash,unit=1,format={self.variables_format},file={escape(variables)}"
        return ["-drive", code, "-drive", store]


def find_firmware(
    *,
    secure_boot: bool = False,
    enrolled_keys: bool = False,
    folders: Sequence[Path] | None = None,
) -> Firmware:
    """The first UEFI firmware with exactly the wanted Secure Boot features.

    `secure_boot`: firmware that can enforce signatures; `enrolled_keys`: its store already holds
    the vendors' keys (without them it boots in setup mode). Raises VirtualMachineError when the
    host has none.
    """
    wanted = {"secure-boot": secure_boot, "enrolled-keys": enrolled_keys}
    for descriptor in _descriptors(folders if folders is not None else descriptor_folders()):
        features = set(descriptor.get("features", []))
        if (
            "uefi" in descriptor.get("interface-types", [])
            and all((name in features) == want for name, want in wanted.items())
            and not features & _UNWANTED
            and _targets_us(descriptor.get("targets", []))
            and (firmware := _parse_mapping(descriptor["mapping"], features))
        ):
            return firmware
    raise VirtualMachineError(
        f"no UEFI firmware for QEMU found (Secure Boot: {'yes' if secure_boot else 'no'})",
        hint="Install the package `ovmf`.",
    )


def descriptor_folders() -> list[Path]:
    """Where descriptors lie, the most important first (docs/interop/firmware.json)."""
    user = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return [
        Path(user) / "qemu/firmware",
        Path("/etc/qemu/firmware"),
        Path("/usr/share/qemu/firmware"),
    ]


def escape(value: object) -> str:
    """Write a value into a comma-separated QEMU option."""
    return str(value).replace(",", ",,")


def _descriptors(folders: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Descriptors by file name; a file hides its namesakes in later folders."""
    files: dict[str, Path] = {}
    for folder in folders:
        for path in folder.glob("*.json"):
            files.setdefault(path.name, path)
    for name in sorted(files):
        text = files[name].read_text()
        # An empty file is the administrator's way to hide a descriptor.
        if text.strip():
            yield json.loads(text)


def _targets_us(targets: list[dict[str, Any]]) -> bool:
    return any(
        target["architecture"] == ARCHITECTURE
        and any(fnmatch.fnmatch(MACHINE, pattern) for pattern in target["machines"])
        for target in targets
    )


def _parse_mapping(mapping: dict[str, Any], features: set[str]) -> Firmware | None:
    """A split pair of flash images whose files exist, else None."""
    if mapping.get("device") != "flash" or mapping.get("mode", "split") != "split":
        return None
    code, template = mapping["executable"], mapping["nvram-template"]
    firmware = Firmware(
        code=Path(code["filename"]),
        variables=Path(template["filename"]),
        code_format=code["format"],
        variables_format=template["format"],
        requires_smm="requires-smm" in features,
    )
    return firmware if firmware.code.is_file() and firmware.variables.is_file() else None
