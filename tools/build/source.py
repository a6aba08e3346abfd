"""What the checkout says about itself: version, commit, and the time that a build goes by."""

from __future__ import annotations

import datetime
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.errors import CommandError
from firstboot.base.run import run
from tools.build.errors import BuildError

CHECKOUT = Path(__file__).resolve().parents[2]
# What ends up in an image. A commit that touches none of it does not make another image.
SHIPPED = ("compose", "firstboot", "images", "mkosi.conf", "pyproject.toml", "tools/build")
_CONTENT_TIME = re.compile(r"^SourceDateEpoch=(\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """`commit` ends in `+changes` when shipped files differ from it.

    `time` is the commit's, or `content_time` where there is no history, such as in a tarball;
    `content_time` is mkosi.conf's SourceDateEpoch, which all files in images have, so that images
    with the same files are the same whatever commit they come from. Both are seconds since 1970.
    """

    version: str
    commit: str
    time: int
    content_time: int


def rfc3339(time: int) -> str:
    """Seconds since 1970 as RFC 3339."""
    return datetime.datetime.fromtimestamp(time, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_source(checkout: Path = CHECKOUT) -> Source:
    """Read version and commit of the checkout; the commit is `unknown` outside a git repository."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
    version = str(project["project"]["version"])
    try:
        commit, _, time = _git(checkout, "log", "-1", "--format=%H %ct", "--", *SHIPPED).partition(
            " "
        )
        changes = _git(checkout, "status", "--porcelain", "--", *SHIPPED)
    except CommandError:
        commit = time = changes = ""
    content_time = _read_content_time(checkout / "mkosi.conf")
    if not commit:
        return Source(version, "unknown", content_time, content_time)
    return Source(version, commit + ("+changes" if changes else ""), int(time), content_time)


def _read_content_time(path: Path) -> int:
    match = _CONTENT_TIME.search(path.read_text(encoding="utf-8"))
    if match is None:
        raise BuildError(f"{path} sets no SourceDateEpoch")
    return int(match[1])


def _git(checkout: Path, *arguments: str) -> str:
    # Root often builds in a checkout of somebody else's, which git would not look at otherwise.
    return run(
        ["git", "-C", checkout, "-c", f"safe.directory={checkout}", *arguments]
    ).stdout.strip()
