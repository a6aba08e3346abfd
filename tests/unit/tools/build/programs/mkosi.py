"""A program that is started as mkosi is: it notes its arguments and makes what mkosi would."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path


def main() -> int:
    arguments = sys.argv[1:]
    folder = Path(os.environ["FAKE_MKOSI"])
    with (folder / "calls").open("a") as log:
        log.write(json.dumps(arguments) + "\n")
    directory, output = (
        Path(arguments[arguments.index(name) + 1]) for name in ("--directory", "--output-directory")
    )
    image = directory.as_posix().rpartition("images/")[2]
    behaviour = folder / image.replace("/", "-")
    how = behaviour.read_text() if behaviour.exists() else "succeed"
    (output / "half-made").mkdir()
    if how == "fail":
        print(*(f"line {number}" for number in range(40)), sep="\n", file=sys.stderr)
        print("E: Unable to locate package nonesuch", file=sys.stderr)
        return 7
    if how == "interrupt":
        os.kill(os.getppid(), signal.SIGINT)
        signal.pause()
    (output / "half-made").rmdir()
    make(image, output, arguments)
    print(f"built {image}")
    return 0


def make(image: str, output: Path, arguments: list[str]) -> None:
    """What `Format=directory` and `Format=disk` leave behind."""
    if image == "appliance":
        version = arguments[arguments.index("--image-version") + 1]
        for end in ("raw", "efi", "manifest", "root-x86-64.raw"):
            (output / f"mailstead_{version}.{end}").write_text(end)
        return
    tree = output / image.rpartition("/")[2]
    if "--base-tree" in arguments:
        shutil.copytree(arguments[arguments.index("--base-tree") + 1], tree, symlinks=True)
    (tree / "etc").mkdir(parents=True, exist_ok=True)
    (tree / "etc" / tree.name).write_text(image)
    if "--extra-tree" in arguments:
        extra = arguments[arguments.index("--extra-tree") + 1]
        shutil.copytree(extra, tree, symlinks=True, dirs_exist_ok=True)


sys.exit(main())
