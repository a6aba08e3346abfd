"""The verb `try`."""

from __future__ import annotations

import json

import click

from tools.boot.appliance import hardware, powered_on
from tools.boot.commands import stay
from tools.boot.example import make_example
from tools.build.base import AUTO
from tools.build.image import TESTING, build_image
from tools.host.cache import cache_folder
from tools.host.packages import ensure_for
from tools.options import base_option, json_option, mirror_option
from tools.progress import progress
from tools.trial.trial import format_trial, run_trial
from tools.vm import keep_evidence, reap_leftovers


@click.command("try")
@base_option(AUTO)
@mirror_option
@click.option("--exit", "exit_", is_flag=True, help="End the machine after the report.")
@json_option
def try_(*, base: str, mirror: str | None, exit_: bool, as_json: bool) -> None:
    """Build the image, boot it, and send a mail through it.

    The machine is set up with an example domain and one person. Afterwards it keeps running, for
    you to connect a mail program, until Ctrl-C.
    """
    with progress() as report:
        ensure_for("try", report)
        reap_leftovers()
        built = build_image(base, report=report, variant=TESTING, mirror=mirror)
        example = make_example()
        with powered_on(built.image, hardware(seed=example.seed)) as machine:
            try:
                trial = run_trial(machine, built, example, report)
            except Exception:
                folder = cache_folder("evidence", "try")
                keep_evidence(machine, folder)
                report(f"What is known of the failure is in {folder}.")
                raise
            report("Done.")
            click.echo(
                json.dumps(trial.as_json(), indent=2) if as_json else format_trial(trial, example)
            )
            if not exit_:
                report("The machine runs until Ctrl-C …")
                stay(machine)
