"""How a question looks as a field of a form, by its kind alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from firstboot.base.questions.judge import typed_form
from firstboot.base.questions.model import Kind, Question
from firstboot.wizard.flow import AGAIN, Flow, Outcome, choices


@dataclass(frozen=True)
class Option:
    """One of the answers to choose from."""

    id: str
    value: str
    title: str
    help: str
    checked: bool


@dataclass(frozen=True)
class Field:
    """What a template shows of a question; `target` is where a link to its problem leads."""

    key: str
    again: str
    id: str
    target: str
    kind: str
    title: str
    text: str
    help: str
    optional: bool
    required: bool
    value: str
    options: tuple[Option, ...]
    problem: str
    doubt: str
    aside: str
    autofocus: bool


def make_fields(
    flow: Flow,
    questions: tuple[Question, ...],
    typed: Mapping[str, str] | None = None,
    outcome: Outcome | None = None,
) -> tuple[Field, ...]:
    """The fields of a step: as answered so far, or as typed, with what is wrong."""
    problems = dict(outcome.problems) if outcome else {}
    doubts = dict(outcome.doubts) if outcome else {}
    first = next((q.key for q in questions if q.key in problems or q.key in doubts), None)
    return tuple(
        _field(
            flow,
            question,
            # With a doubt, too: the same once more is taken.
            typed=(typed or {}).get(question.key) if question.key in {*problems, *doubts} else None,
            problem=problems.get(question.key, ""),
            doubt=doubts.get(question.key, ""),
            autofocus=question.key == first,
        )
        for question in questions
    )


def _field(
    flow: Flow, question: Question, *, typed: str | None, problem: str, doubt: str, autofocus: bool
) -> Field:
    name = re.sub(r"\W+", "-", question.key).strip("-")
    value = _value(flow, question) if typed is None else typed
    options = _options(flow, question, name, value)
    # A set of radio buttons is reached through the first of them.
    target = options[0].id if options else name
    has_password = question.kind.is_hidden and bool(flow.draft.answers.get(question.key))
    return Field(
        key=question.key,
        again=question.key + AGAIN,
        id=name,
        target=target,
        kind=question.kind.value,
        title=question.title,
        text=question.text,
        help=question.help,
        optional=question.optional,
        required=not question.optional and not has_password,
        # A password is never sent back, right or wrong.
        value="" if question.kind.is_hidden else value,
        options=options,
        problem=problem,
        doubt=doubt,
        aside=_aside(flow, question, has_password=has_password),
        autofocus=autofocus,
    )


def _value(flow: Flow, question: Question) -> str:
    return typed_form(question.preset(flow.context))


def _aside(flow: Flow, question: Question, *, has_password: bool) -> str:
    if has_password:
        fields = "both fields" if question.kind is Kind.PASSWORD else "the field"
        return f"A password has been chosen. Leave {fields} empty to keep it."
    if flow.draft.is_given(question.key):
        return f"This answer comes from {flow.draft.given.source}."
    return ""


def _options(flow: Flow, question: Question, name: str, value: str) -> tuple[Option, ...]:
    return tuple(
        Option(f"{name}-{number}", choice.value, choice.title, choice.help, choice.value == value)
        for number, choice in enumerate(choices(question, flow.context))
    )
