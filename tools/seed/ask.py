"""Asks the questions of setup, line by line, for a machine that is somewhere else."""

from __future__ import annotations

import click

from firstboot.base.passwords import hash_password
from firstboot.base.questions.assemble import assemble
from firstboot.base.questions.catalogue import STEPS
from firstboot.base.questions.judge import judge, typed_form
from firstboot.base.questions.model import NO, YES, Answer, Context, Facts, Kind, Question


def ask_settings() -> str:
    """Ask all that is to be asked; the text of the settings. click.Abort when the input ends."""
    answers: dict[str, Answer] = {}
    for step in STEPS:
        click.echo(f"\n{step.title}\n{step.text}", err=True)
        for question in step.questions:
            context = Context(answers, Facts())
            if question.asked(context):
                answers[question.key] = _ask(question, context)
    return assemble(answers, Facts())


def _ask(question: Question, context: Context) -> Answer:
    click.echo(f"\n{question.text}", err=True)
    click.echo(click.wrap_text(question.help, 79, "  ", "  "), err=True)
    for choice in question.choices(context):
        click.echo(f"  {choice.value.ljust(12)}  {choice.title}", err=True)
    insisted = ""
    while True:
        typed = _prompt(question, context)
        verdict = judge(question, typed, context)
        if verdict.problem:
            click.echo(f"! {verdict.problem}", err=True)
        elif verdict.doubt and typed != insisted:
            click.echo(f"! {verdict.doubt} The same once more, and it is taken.", err=True)
            insisted = typed
        else:
            if verdict.note:
                click.echo(f"* {verdict.note}", err=True)
            is_secret = question.kind is Kind.PASSWORD and typed
            return hash_password(typed) if is_secret else verdict.value


def _prompt(question: Question, context: Context) -> str:
    preset = typed_form(question.preset(context))
    if question.kind.is_hidden:
        return str(
            click.prompt(
                question.title,
                default="",
                show_default=False,
                hide_input=True,
                confirmation_prompt=question.kind is Kind.PASSWORD,
                err=True,
            )
        )
    title = f"{question.title} ({YES}/{NO})" if question.kind is Kind.YES_NO else question.title
    return str(click.prompt(title, default=preset, show_default=bool(preset), err=True))
