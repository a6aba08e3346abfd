"""The programs that read an image: those that made it, from the build's tools tree.

Older hosts package an erofs-utils that cannot print a file, or none. The tree's programs need the
tree's own C library, so they are started through the tree's dynamic loader (ld.so(8)).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.run import Completed, run
from tools.host.cache import cache_root
from tools.inspect.errors import InspectError

_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_LOADER = f"{_LIBRARIES}/ld-linux-x86-64.so.2"
_NEEDED = ("dump.erofs", "mcopy", "zstd")


@dataclass(frozen=True)
class Programs:
    """Where programs come from: a tools tree, or with None the host's PATH."""

    tree: Path | None

    def run(
        self, name: str, *arguments: str | Path, env: Mapping[str, str] | None = None
    ) -> Completed:
        """Run a program to its end, whatever its exit code; `env` is on top of ours."""
        argv: list[str | Path] = [name]
        if self.tree:
            libraries = self.tree / _LIBRARIES
            argv = [self.tree / _LOADER, "--library-path", libraries, self.tree / "usr/bin" / name]
        environment = {**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}
        return run([*argv, *arguments], check=False, env=environment)


def find_programs() -> Programs:
    """Programs of the newest tools tree, else the host's where they are new enough.

    Raises InspectError when there are neither.
    """
    tree = find_tools_tree()
    if tree:
        return Programs(tree)
    host = Programs(None)
    if all(map(shutil.which, _NEEDED)) and _prints_files(host):
        return host
    raise InspectError(
        "there is nothing to read an image with: no tools tree of a build in "
        f"{cache_root()}, and no {', '.join(_NEEDED)} on this host that are new enough",
        "Build an image first (tools/forge build), or install erofs-utils 1.8.3 or newer, mtools "
        "and zstd.",
    )


def find_tools_tree() -> Path | None:
    """The tools tree that a build used last, None before the first build."""
    results = [
        result
        for result in cache_root().glob("build/*/tools-tree-*")
        if all((result / "tools" / name).exists() for name in (_LOADER, "usr/bin/dump.erofs"))
    ]
    # A build sets the time of each result that it uses.
    newest = max(results, key=lambda result: result.stat().st_mtime, default=None)
    return newest / "tools" if newest else None


def _prints_files(programs: Programs) -> bool:
    return "--cat" in programs.run("dump.erofs", "--help").stdout
