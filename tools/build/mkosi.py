"""Runs mkosi for one folder below images/."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.run import run
from tools.build.base import Base
from tools.build.errors import BuildError
from tools.host.cache import cache_folder
from tools.host.memory import memory_folder, room_in_memory
from tools.host.mkosi import Mkosi

_TAIL_LINES = 15
# The image takes 2.5 GiB of it; others may want some, too.
_PLENTY = 8 << 30


@dataclass(frozen=True)
class Workshop:
    """What all images of one build have in common.

    `images` is the checkout's folder of that name; `sources` is a tree with the apt sources to use
    in place of mkosi's defaults, if any; `tools` is the tree that programs come from, None while
    that itself is built; `log` is where mkosi's output goes.
    """

    mkosi: Mkosi
    base: Base
    images: Path
    log: Path
    sources: Path | None
    tools: Path | None

    def build(
        self,
        name: str | Path,
        output: Path,
        *,
        base_tree: Path | None = None,
        extra: Sequence[Path] = (),
        options: Sequence[str | Path] = (),
    ) -> None:
        """Build images/`name`, or the configuration at an absolute path, into `output`.

        `extra` trees are laid over the image at the end. Raises BuildError, which names the log.
        """
        argv: list[str | Path] = [
            *self.mkosi.argv,
            *("--directory", self.images / name, "--force"),
            *("--distribution", self.base.distribution, "--release", self.base.release),
            *("--output-directory", output),
            *("--cache-directory", cache_folder("mkosi", self.base.distribution)),
            *("--package-cache-directory", cache_folder("packages")),
        ]
        if self.sources:
            argv += ["--sandbox-tree", self.sources]
        if self.tools:
            argv += ["--tools-tree", self.tools]
        if base_tree:
            argv += ["--base-tree", base_tree]
        for tree in extra:
            argv += ["--extra-tree", tree]
        with _workspace(output) as workspace:
            self._run(name, [*argv, "--workspace-directory", workspace, *options, "build"])

    def _run(self, name: str | Path, argv: Sequence[str | Path]) -> None:
        done = run(argv, env=self.mkosi.full_environment(), check=False)
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"=== {name}\n{done.stdout}{done.stderr}\n")
        if done.returncode != 0:
            tail = "\n  ".join((done.stderr or done.stdout).strip().splitlines()[-_TAIL_LINES:])
            raise BuildError(
                f"mkosi could not build {name} (exit code {done.returncode}):\n  {tail}",
                f"All of its output is in {self.log}.",
            )


@contextmanager
def _workspace(output: Path) -> Iterator[Path]:
    """Where mkosi works: in memory, where that takes half the time, if there is plenty of it.

    Otherwise in `output`, with which an interrupted build's goes as well.
    """
    if room_in_memory() < _PLENTY:
        yield output
        return
    with memory_folder("build") as folder:
        yield folder
