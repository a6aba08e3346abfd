"""Docker Compose v2 for the host, also where the distribution has none (Debian 12)."""

from __future__ import annotations

import shutil
from pathlib import Path

from firstboot.base.run import run
from tools.host.aptroot import obtain_package
from tools.host.errors import ArchiveError
from tools.host.report import Say, say
from tools.host.system import host_distribution

# Debian 13's program runs with Debian 12's C library.
_SUITES = {"debian": ("trixie", "stable"), "ubuntu": ("resolute",)}
_PACKAGES = {"debian": "docker-compose", "ubuntu": "docker-compose-v2"}


def obtain_compose(*, mirror: str | None = None, report: Say = say) -> tuple[str, ...]:
    """The words that start Compose v2: Docker's plugin, a program on PATH, or a fetched one.

    Raises ArchiveError when there is none to be had.
    """
    for words in (("docker", "compose"), ("docker-compose",)):
        if _is_version_2(words):
            return words
    name = host_distribution().name
    package = obtain_package(
        _PACKAGES.get(name, "docker-compose"),
        minimum="2",
        suites=_SUITES.get(name, ()),
        mirror=mirror,
        report=report,
    )
    program = next(
        (path for path in package.tree.rglob("docker-compose") if _is_program(path)), None
    )
    if program is None or not _is_version_2((str(program),)):
        raise ArchiveError(
            f"Docker Compose {package.version} in {package.tree} does not run on this host",
            "Install Docker Compose v2, so that `docker compose version` answers.",
        )
    return (str(program),)


def _is_version_2(words: tuple[str, ...]) -> bool:
    if shutil.which(words[0]) is None:
        return False
    result = run([*words, "version", "--short"], check=False)
    version = result.stdout.strip().removeprefix("v")
    return result.returncode == 0 and version[:1].isdigit() and not version.startswith("1.")


def _is_program(path: Path) -> bool:
    return path.is_file() and path.stat().st_mode & 0o111 != 0
