"""Fuzz the parsers, guided by coverage: `python -m tests.fuzz --seconds 600`.

Needs atheris, which is not in the lock: it has wheels for few versions of Python only. Install it
into the virtual environment of forge (`pip install atheris`). What a run learns is added to the
corpus in `tests/fuzz/corpus`, which the unit tests replay; commit what is worth it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path

import click

from firstboot.base.run import run

CORPUS = Path(__file__).parent / "corpus"
MAX_BYTES = 8192  # of an input


@click.command()
@click.option("--seconds", default=30, show_default=True, help="For all targets together.")
@click.option("--one", hidden=True)
@click.argument("names", nargs=-1, metavar="[TARGET]…")
def main(seconds: int, one: str | None, names: tuple[str, ...]) -> None:
    """Fuzz TARGETs, by default all, and stop at the first finding, which is written to a file."""
    if importlib.util.find_spec("atheris") is None:
        raise click.ClickException(
            "atheris is not installed: run `pip install atheris` for this Python"
        )
    if one is not None:
        _fuzz(one, seconds)
        return
    from tests.fuzz.targets import TARGETS

    chosen = names or tuple(TARGETS)
    if unknown := set(chosen) - set(TARGETS):
        raise click.UsageError(f"{sorted(unknown)[0]} is none of {', '.join(TARGETS)}")
    for name in chosen:
        click.echo(f"fuzzing {name}")
        each = max(1, seconds // len(chosen))
        arguments = ["--one", name, "--seconds", str(each)]
        result = run([sys.executable, "-m", "tests.fuzz", *arguments], check=False, capture=False)
        if result.returncode != 0:
            raise click.ClickException(f"{name} has a finding; replay it with the file named above")


def _fuzz(name: str, seconds: int) -> None:
    """Fuzz one target in this process, which libFuzzer ends."""
    atheris = importlib.import_module("atheris")

    with atheris.instrument_imports(include=["postmaster", "tests.fuzz.targets"]):
        target = importlib.import_module("tests.fuzz.targets").TARGETS[name]
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_BYTES}",
        "-timeout=10",
        "-rss_limit_mb=1024",
        f"-artifact_prefix={Path.cwd()}{os.sep}finding-{name}-",
    ]
    atheris.Setup([sys.argv[0], *options, str(folder)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
