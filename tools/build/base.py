"""The distributions that an image can be built on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tools.host.archive import RELEASES, archive_reachable
from tools.host.errors import ArchiveError
from tools.host.mkosi import Mkosi

Report = Callable[[str], None]


@dataclass(frozen=True)
class Base:
    """A distribution and its Python, for which the locked dependencies are chosen."""

    distribution: str
    python: str
    components: tuple[str, ...]

    @property
    def release(self) -> str:
        return RELEASES[self.distribution]


UBUNTU = Base("ubuntu", python="3.14", components=("main", "universe"))
DEBIAN = Base("debian", python="3.13", components=("main",))
BASES = {base.distribution: base for base in (UBUNTU, DEBIAN)}
AUTO = "auto"


def choose_base(name: str, *, mkosi: Mkosi, mirror: str | None, report: Report) -> Base:
    """The base called `name`; AUTO is Ubuntu, or Debian where Ubuntu cannot be reached.

    Raises ArchiveError when the archive of the chosen base does not answer.
    """
    wanted = UBUNTU if name == AUTO else BASES[name]
    if archive_reachable(wanted.distribution, mkosi=mkosi, mirror=mirror):
        return wanted
    if name == AUTO and archive_reachable(DEBIAN.distribution, mkosi=mkosi):
        report("WARNING: THE UBUNTU ARCHIVE CANNOT BE REACHED. This image is built on Debian.")
        return DEBIAN
    others = " or ".join(f"--base {other}" for other in BASES if other != wanted.distribution)
    raise ArchiveError(
        f"the archive of {wanted.distribution} {wanted.release} cannot be reached",
        f"Check the network and its proxy settings, name another archive with --mirror, or build "
        f"with {others}.",
    )
