"""The verbs `seed new` and `seed validate`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from firstboot.base.errors import SettingsError
from firstboot.base.files import write_atomic
from firstboot.base.located import read_located
from firstboot.base.questions.assemble import find_answers
from firstboot.base.questions.catalogue import asked_questions
from firstboot.base.questions.judge import judge_answer
from firstboot.base.questions.model import Context
from firstboot.base.restorewish import parse_restore
from firstboot.base.settings import IncompleteSettingsError, parse_settings
from firstboot.base.userdata import HEADER, find_settings
from tools.options import json_option
from tools.seed.ask import ask_settings


@click.group()
def seed() -> None:
    """Make settings for a machine that is yet to be set up, and check them.

    The questions are those that the machine would ask itself, with the same rules.
    """


@seed.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def new(file: Path, *, as_json: bool) -> None:
    """Answer the questions of the setup and write the answers to FILE.

    FILE must not be there yet. Nobody else on this computer can read it: it holds the hashes of
    passwords.
    """
    if file.exists():
        raise click.UsageError(f"{file} is there already; name another file, or remove it")
    if not os.access(file.parent, os.W_OK):
        raise click.UsageError(f"nothing can be written to {file.parent}")
    text = ask_settings()
    found = parse_settings(text, str(file))
    write_atomic(file, text, mode=0o600)
    if as_json:
        click.echo(json.dumps({"file": str(file), "hostname": found.hostname}))
        return
    click.echo(f"{file} is right: {found.hostname}")
    click.echo('Where a machine finds it: docs/settings.md, "Where a seed may lie".')


@seed.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def validate(file: Path, *, as_json: bool) -> None:
    """Tell whether FILE is a seed that a machine can use.

    FILE may be cloud-init user data. Besides what is wrong, tells what is likely to be a slip of
    the pen, and which questions stay open for the machine to ask. Ends with exit code 3 when it
    is wrong; open questions and doubts are no error.
    """
    text = _read(file)
    opened: list[str] = []
    doubts: list[str] = []
    if parse_restore(text, str(file)) is None:
        try:
            parse_settings(text, str(file))
        except IncompleteSettingsError as error:
            opened = [problem.removeprefix(f"{file}:") for problem in error.problems]
        doubts = _doubts(text)
    if as_json:
        click.echo(json.dumps({"ok": True, "open": opened, "doubts": doubts}, indent=2))
        return
    for doubt in doubts:
        click.echo(f"{file}: {doubt}")
    if opened:
        click.echo(f"{file} is right; the machine asks for what it leaves open, in line")
        click.echo("\n".join(f"  {problem}" for problem in opened))
    else:
        click.echo(f"{file} is right")


def _read(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SettingsError([f"{file}: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"{file}:1: expected text in UTF-8, got another encoding"]) from None
    if text.startswith(HEADER):
        found = find_settings(text)
        if found is None:
            raise SettingsError([f"{file}:1: expected a key mailstead, got {HEADER} without it"])
        return found
    return text


def _doubts(text: str) -> list[str]:
    """What the machine would ask back about, as `key: sentence`."""
    values = read_located(text).value
    context = Context(find_answers(values) if isinstance(values, dict) else {})
    doubts = []
    for question in asked_questions(context):
        answer = context.answers.get(question.key)
        if answer is not None:
            verdict = judge_answer(question, answer, context)
            doubts += [
                f"{question.key}: {said}" for said in (verdict.problem, verdict.doubt) if said
            ]
    return doubts
