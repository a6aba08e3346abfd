"""Reads single files of the root partition, which is erofs, where they lie in the image."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.errors import ReleaseError
from firstboot.base.release import Release, read_release
from tools.inspect.errors import InspectError
from tools.inspect.partitions import Partition
from tools.inspect.programs import Programs

_OS_RELEASE = "/usr/lib/os-release"
_RELEASE = "/usr/share/mailstead/release.json"
_PACKAGES = "/var/lib/dpkg/status"
_INSTALLED = "install ok installed"


@dataclass(frozen=True)
class Root:
    """The root partition of an image."""

    programs: Programs
    image: Path
    partition: Partition

    def read(self, name: str) -> str:
        """The text of a file. Raises InspectError when there is none, or it is empty."""
        done = self.programs.run(
            "dump.erofs", f"--offset={self.partition.start}", "--cat", f"--path={name}", self.image
        )
        # dump.erofs ends with 0 even where there is no such file; it only prints nothing.
        if done.returncode != 0 or not done.stdout:
            raise InspectError(
                f"{name} cannot be read from the root partition of {self.image}: "
                + (done.stderr.strip() or "it is empty"),
                "The image is damaged, or an older version of tools/forge made it: build it anew.",
            )
        return done.stdout

    def os_release(self) -> Mapping[str, str]:
        """os-release(5)."""
        return parse_os_release(self.read(_OS_RELEASE))

    def packages(self) -> Mapping[str, str]:
        """Versions of the installed packages by name."""
        return parse_packages(self.read(_PACKAGES))

    def release(self, scratch: Path) -> Release:
        """The release manifest; `scratch` is a directory for a copy of it."""
        copy = scratch / "release.json"
        copy.write_text(self.read(_RELEASE), encoding="utf-8")
        try:
            return read_release(copy)
        except ReleaseError as error:
            raise InspectError(f"in {self.image}: {error.message}", error.hint) from None


def parse_os_release(text: str) -> Mapping[str, str]:
    """Variables by name, without quotes."""
    lines = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {name.strip(): "".join(shlex.split(value)) for name, equals, value in lines if equals}


def parse_packages(status: str) -> Mapping[str, str]:
    """Versions by name from dpkg's database (deb-control(5) stanzas), sorted by name.

    A package that is installed for a second architecture is `name:architecture`.
    """
    packages: dict[str, str] = {}
    for stanza in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Status|Version|Architecture): *(.*)$", stanza, re.M))
        if fields.get("Status") == _INSTALLED:
            name = fields["Package"]
            if name in packages:
                name = f"{name}:{fields['Architecture']}"
            packages[name] = fields["Version"]
    return dict(sorted(packages.items()))
