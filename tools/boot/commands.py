"""The verb `boot`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from firstboot.base.restorewish import parse_restore
from firstboot.base.settings import parse_settings
from tools.boot.appliance import BOOT_SECONDS, WAITING, await_ready, hardware, powered_on
from tools.host.packages import ensure_for
from tools.options import Size, json_option
from tools.progress import progress
from tools.vm import Machine, reap_leftovers

_MIB = 1 << 20


@click.command()
@click.option(
    "--image",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="A .raw image made by `tools/forge build`. It is not changed.",
)
@click.option(
    "--seed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A settings.yaml to set the machine up with. Without it the machine waits for one.",
)
@click.option("--memory", type=Size(), default="2G", show_default=True)
@click.option("--disk", type=Size(), default="20G", show_default=True)
@click.option("--headless", is_flag=True, help="Do not show the machine's console here.")
@json_option
def boot(
    *, image: Path, seed: Path | None, memory: int, disk: int, headless: bool, as_json: bool
) -> None:
    """Run an image in QEMU until Ctrl-C.

    The machine has UEFI firmware, a TPM and a disk of its own, which is gone when it ends. Its
    services are reachable on free ports of this host's loopback interface.
    """
    text = None
    if seed is not None:
        text = seed.read_text(encoding="utf-8")
        # Wrong settings are cheaper to find here than on the machine's console.
        if parse_restore(text, str(seed)) is None:
            parse_settings(text, str(seed))
    parts = hardware(seed=text, memory_mib=memory // _MIB)
    show = None if headless else _show
    with progress() as report:
        ensure_for("boot", report)
        reap_leftovers()
        with powered_on(image, parts, disk_bytes=disk, on_output=show) as machine:
            if text is None:
                machine.wait_for_console(WAITING, seconds=BOOT_SECONDS)
            else:
                await_ready(machine, report)
            _print(describe(machine), as_json=as_json)
            report("The machine runs until Ctrl-C …")
            stay(machine)


def stay(machine: Machine) -> None:
    """Until somebody ends us, or the machine ends itself."""
    while not machine.ends_within(3600):
        pass


def describe(machine: Machine) -> dict[str, object]:
    """How to reach a machine from this host."""
    return {
        "accelerator": machine.accelerator.name,
        "ports": dict(machine.ports),
        "qmp": str(machine.qmp_socket),
        "serial": str(machine.console_log),
    }


def _print(found: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        click.echo(f"{name + ':':<13} {value}")


def _show(output: str) -> None:
    sys.stderr.write(output)
    sys.stderr.flush()
