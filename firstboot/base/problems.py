"""Turns pydantic's validation errors into problems that a person can act on.

Needed because pydantic's own messages quote the input, which may be a password hash, and know
neither lines nor what a field is for.
"""

from __future__ import annotations

import difflib
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from firstboot.base.located import Located, Place, Plain

# Custom errors of our own validators carry the finished sentence.
OWN_ERROR = "mailstead"


def add_problems(document: Located, model: type[BaseModel], error: ValidationError) -> None:
    """Note every problem of `error`, found while validating `document` as `model`."""
    for detail in error.errors(include_url=False, include_context=True):
        place: Place = tuple(detail["loc"])
        # A value that could not even be read has its problem already.
        if document.wrong(place):
            continue
        kind = detail["type"]
        text = _text(kind, detail.get("ctx", {}), place, model, document)
        document.add(place, text, missing=kind == "missing")


def got(value: Plain) -> str:
    """How a value is shown in `…, got …`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower() + " (put it in quotes to make it text)"
        case int():
            return str(value)
        case str():
            short = value if len(value) <= 60 else value[:59] + "…"
            return repr(short) if value else "an empty text"
        case dict():
            return "a mapping"
    return "a list"


def _text(
    kind: str, context: dict[str, Any], place: Place, model: type[BaseModel], document: Located
) -> str:
    value = _value_at(document.value, place)
    owner = _model_at(model, place[:-1])
    match kind:
        case "missing":
            return f"expected {_description(owner, place)}, got nothing"
        case "extra_forbidden":
            return _unknown_key(str(place[-1]), sorted(owner.model_fields) if owner else [])
        case "string_type":
            expected = _description(owner, place) if value is None else "text"
        case "int_type":
            expected = "a whole number"
        case "tuple_type":
            expected = "a list"
        case "dict_type" | "model_type":
            here = _model_at(model, place)
            keys = ", ".join(here.model_fields) if here else ""
            expected = f"a mapping with the keys {keys}" if keys else "a mapping"
        case "literal_error":
            expected = str(context["expected"])
        case "too_short":
            expected = "at least one entry"
        case _ if kind == OWN_ERROR:
            return str(context["text"])
        case _:
            expected = _description(owner, place)
    return f"expected {expected}, got {got(value)}"


def _unknown_key(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    if near:
        return f"unknown key; expected {near[0]}?"
    return f"unknown key; expected one of {', '.join(known)}"


def _description(owner: type[BaseModel] | None, place: Place) -> str:
    """What a field wants, from its description in the model."""
    for part in reversed(place):
        if owner is not None and isinstance(part, str) and part in owner.model_fields:
            return owner.model_fields[part].description or part
    return "a value"


def _value_at(value: Plain, place: Place) -> Plain:
    for part in place:
        if isinstance(value, dict) and isinstance(part, str):
            value = value.get(part)
        elif isinstance(value, tuple) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def _model_at(model: type[BaseModel], place: Place) -> type[BaseModel] | None:
    """The model that describes a place, None where it is a plain value."""
    annotation: Any = model
    for part in place:
        annotation = _inside(annotation, part)
    return annotation if _is_model(annotation) else None


def _inside(annotation: Any, part: str | int) -> Any:
    """What describes `part` (a field, a key or an index) of a value of this annotation."""
    if _is_model(annotation):
        found = annotation.model_fields.get(part)
        return found.annotation if found else None
    inner = [arg for arg in get_args(annotation) if arg is not Ellipsis]
    # tuple[Item, ...] has its items first, dict[str, Value] its values last.
    return inner[-1] if inner else None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
