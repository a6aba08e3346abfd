"""The document of the API (OpenAPI 3.1), made from the verbs, their arguments and results.

The container `admin` routes by it, too: each operation's `operationId` is a verb, and its
parameters and body are that verb's arguments. So what is written there is what is done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from firstboot.administration.protocol import SCOPES, Verb

BASE = "/api/v1"
_REF = "#/components/schemas/{model}"
_MODE: JsonSchemaMode = "serialization"
_ANSWERS = {
    "400": "The request cannot be read, or its body is no JSON.",
    "401": "There is no token, or it is none of this machine.",
    "403": "The token is not for this.",
    "404": "There is no such person, alias or domain, or no such path.",
    "408": "The body did not come in time.",
    "409": "A rule of the machine says no; `hint` says what to do.",
    "413": "The body is too large.",
    "415": "The body is no JSON by its Content-Type.",
    "422": "An argument is not as it must be, or the settings would not be.",
    "429": "Too many wrong tokens, or too much at a time; `Retry-After` says when to try again.",
    "500": "Something did not work.",
    "502": "What is behind the web server does not answer.",
    "503": "The machine does not answer in time.",
    "504": "What is behind the web server does not answer in time.",
}
_OF_BODIES = {"408", "413", "415"}
_PROBLEM = {
    "type": "object",
    "description": "Problem details (RFC 9457). `hint` says what to do, where something can be.",
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "hint": {"type": "string"},
    },
    "required": ["type", "title", "status"],
}


def make_document(
    verbs: Mapping[str, Verb], results: Mapping[str, Any], version: str
) -> dict[str, Any]:
    """The document of all verbs that have an `http`; `results` are types by the verbs' names."""
    wanted = [(name, verb) for name, verb in verbs.items() if verb.http]
    shapes, shared = TypeAdapter.json_schemas(
        [(name, _MODE, TypeAdapter(results[name])) for name, _ in wanted], ref_template=_REF
    )
    paths: dict[str, Any] = {}
    for name, verb in wanted:
        assert verb.http is not None, "those were chosen"
        operation = _operation(name, verb, shapes[name, _MODE])
        paths.setdefault(verb.http.path, {})[verb.http.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mailstead",
            "version": version,
            "description": "Looks at a mail server and administers it. See docs/api.md.",
        },
        "servers": [{"url": BASE}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {**shared["$defs"], "Problem": _PROBLEM},
            "responses": {status: _problem(text) for status, text in _ANSWERS.items()},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": f"A token. Its scopes are some of: {', '.join(SCOPES)}.",
                }
            },
        },
    }


def _operation(name: str, verb: Verb, result: Mapping[str, Any]) -> dict[str, Any]:
    http = verb.http
    assert http is not None, "only those are in the document"
    schema = verb.arguments.model_json_schema()
    fields, required = schema["properties"], schema.get("required", [])
    in_path = re.findall(r"{(\w+)}", http.path)
    has_body = http.method in {"POST", "PATCH"}
    parameters = [_parameter(key, fields[key], "path", needed=True) for key in in_path]
    others = {key: field for key, field in fields.items() if key not in in_path}
    needed = [key for key in required if key in others]
    if not has_body:
        parameters += [
            _parameter(key, field, "query", needed=key in needed) for key, field in others.items()
        ]
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": (verb.run.__doc__ or "").partition("\n")[0],
        "description": f"Scope `{http.scope}`.",
        "tags": [name.partition(".")[0]],
        "x-scope": http.scope,
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done.", "content": {"application/json": {"schema": result}}},
            **{status: _ref(status) for status in _ANSWERS if has_body or status not in _OF_BODIES},
        },
    }
    if has_body:
        body = {"type": "object", "properties": others, "additionalProperties": False}
        body |= {"required": needed} if needed else {}
        content = {"application/json": {"schema": body}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameter(key: str, field: Mapping[str, Any], where: str, *, needed: bool) -> dict[str, Any]:
    # Whoever wants null leaves it out.
    kinds = [kind for kind in field.get("anyOf", ()) if kind != {"type": "null"}]
    schema = {
        name: value
        for name, value in {**field, **(kinds[0] if kinds else {})}.items()
        if name not in {"anyOf", "title"} and (name, value) != ("default", None)
    }
    if where == "path":
        schema["minLength"] = 1
    return {"name": key, "in": where, "required": needed, "schema": schema}


def _problem(text: str) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model="Problem")}
    return {"description": text, "content": {"application/problem+json": {"schema": schema}}}


def _ref(status: str) -> dict[str, str]:
    return {"$ref": f"#/components/responses/{status}"}
