"""A program that is started as mkosi is: it notes its arguments and makes what mkosi would."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[5]))

from tests.unit.tools.inspect.samples import Sample

KEYS = ("secure-boot", "verity", "sign-expected-pcr")


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
    make(image, output, arguments, folder)
    print(f"built {image}")
    return 0


def make(image: str, output: Path, arguments: list[str], folder: Path) -> None:
    """What `Format=directory`, `Format=cpio` and `Format=disk` leave behind."""
    if image == "appliance":
        make_appliance(output, arguments, folder)
        return
    if image == "early":
        (certificate,) = values(arguments, "--verity-certificate")
        (output / "early.cpio.zst").write_bytes(Path(certificate).read_bytes())
        return
    tree = output / image.rpartition("/")[2]
    if "--base-tree" in arguments:
        shutil.copytree(arguments[arguments.index("--base-tree") + 1], tree, symlinks=True)
    (tree / "etc").mkdir(parents=True, exist_ok=True)
    (tree / "etc" / tree.name).write_text(image)
    for extra in values(arguments, "--extra-tree"):
        shutil.copytree(extra, tree, symlinks=True, dirs_exist_ok=True)


def make_appliance(output: Path, arguments: list[str], folder: Path) -> None:
    """Disk, UKI and split partitions. Keeps the trees laid over them and the keys for the test."""
    (version,) = values(arguments, "--image-version")
    sample = Sample(folder, version=version)
    name = f"mailstead_{version}"
    (output / f"{name}.raw").write_bytes(sample.disk())
    (output / f"{name}.efi").write_bytes(sample.kernel())
    for role, (*_, content) in sample.slot().items():
        (output / f"{name}.{role}.raw").write_bytes(content)
    for end in ("manifest", "vmlinuz", "initrd"):
        (output / f"{name}.{end}").write_text(end)
    (output / "mailstead").symlink_to(f"{name}.raw")
    shutil.rmtree(folder / "tree", ignore_errors=True)
    for tree in values(arguments, "--extra-tree"):
        shutil.copytree(tree, folder / "tree", symlinks=True, dirs_exist_ok=True)
    signed = {}
    for key in KEYS:
        for what in ("key", "certificate"):
            (path,) = values(arguments, f"--{key}-{what}")
            signed[f"{key}-{what}"] = Path(path).read_text()
    (early,) = values(arguments, "--initrd")
    (folder / "early").write_bytes(Path(early).read_bytes())
    (folder / "signed").write_text(json.dumps(signed))


def values(arguments: list[str], name: str) -> list[str]:
    return [arguments[at + 1] for at, word in enumerate(arguments) if word == name]


sys.exit(main())
