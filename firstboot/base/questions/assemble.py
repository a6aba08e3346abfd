"""Answers in their places in the settings, and back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from firstboot.base.located import Plain
from firstboot.base.questions.catalogue import STEPS, questions
from firstboot.base.questions.model import Answer, Answers, Context, Facts
from firstboot.base.settings import VERSION

_PART = re.compile(r"([a-z_]+)(\[\d*\])?")


def assemble(answers: Answers, facts: Facts, given: Mapping[str, Plain] | None = None) -> str:
    """The text of settings.yaml: what was given, with the answers in their places.

    Answers to questions that are not asked with these answers are left out, and so are empty ones.
    """
    before = dict(given or {})
    values: dict[str, Any] = {"version": VERSION, **_thawed(before)}
    context = Context(answers, facts)
    for step in STEPS:
        asked = [question.key for question in step.asked(context)]
        keys = [question.key for question in step.questions]
        changed = any(answers.get(key, take(before, key)) != take(before, key) for key in keys)
        for key in keys:
            answer = answers.get(key)
            if key in asked and answer is not None and answer not in ("", ()):
                put(values, key, answer)
            elif changed:
                drop(values, key)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000)


def find_answers(values: Mapping[str, Plain]) -> dict[str, Answer]:
    """The answers that settings hold already, by the keys of their questions."""
    found: dict[str, Answer] = {}
    for question in questions():
        answer = take(values, question.key)
        if isinstance(answer, str | bool):
            found[question.key] = answer
        elif isinstance(answer, tuple) and all(isinstance(item, str) for item in answer):
            found[question.key] = tuple(str(item) for item in answer)
    return found


def put(values: dict[str, Any], key: str, answer: Answer) -> None:
    """Put an answer at its place. `a[].b` takes a list: one mapping for each of its texts.

    A mapping that is there already for such a text keeps its other keys.
    """
    parts = list(_parts(key))
    inner: Any = values
    for number, (name, index) in enumerate(parts):
        last = number == len(parts) - 1
        if index == "[]":
            (below,) = (name for name, _ in parts[number + 1 :])
            before = {item.get(below): item for item in inner.get(name) or ()}
            assert isinstance(answer, tuple)
            inner[name] = [{**before.get(text, {}), below: text} for text in answer]
            return
        if last and not index:
            inner[name] = list(answer) if isinstance(answer, tuple) else answer
        elif index:
            items = inner.setdefault(name, [])
            position = int(index[1:-1])
            items.extend({} for _ in range(position + 1 - len(items)))
            inner = items[position]
        else:
            inner = inner.setdefault(name, {})


def drop(values: dict[str, Any], key: str) -> None:
    """Take away what stands at the place of a key, and what is empty then."""
    (name, index), *rest = _parts(key)
    if not rest:
        values.pop(name, None)
    elif not index and isinstance(inner := values.get(name), dict):
        drop(inner, key.partition(".")[2])
        if not inner:
            del values[name]
    elif index.strip("[]") and take(values, key) is not None:
        items, position = values[name], int(index[1:-1])
        del items[position][rest[0][0]]
        while items and not items[-1]:
            del items[-1]
        if not items:
            del values[name]


def take(values: Mapping[str, Plain], key: str) -> Plain:
    """What stands at the place of a question's key, None where nothing does."""
    parts = list(_parts(key))
    inner: Any = values
    for number, (name, index) in enumerate(parts):
        inner = inner.get(name) if isinstance(inner, Mapping) else None
        if index == "[]":
            below = parts[number + 1][0]
            items = inner if isinstance(inner, tuple | list) else ()
            found = tuple(item.get(below) for item in items if isinstance(item, Mapping))
            return found or None
        if index:
            position = int(index[1:-1])
            whole = isinstance(inner, tuple | list) and position < len(inner)
            inner = inner[position] if whole else None
    return tuple(inner) if isinstance(inner, list) else inner


def _parts(key: str) -> Iterator[tuple[str, str]]:
    """`people[0].name` → ("people", "[0]"), ("name", "")."""
    for part in key.split("."):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{key} is no place in the settings")
        yield match[1], match[2] or ""


def _thawed(value: Any) -> Any:
    """Plain values with lists in place of tuples, so that they can be changed and written."""
    if isinstance(value, Mapping):
        return {key: _thawed(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_thawed(inner) for inner in value]
    return value
