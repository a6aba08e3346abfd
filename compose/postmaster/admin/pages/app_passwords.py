"""Passwords for single programs: which there are, a new one, and the end of one."""

from __future__ import annotations

import time
from typing import Any

from starlette.responses import Response

from postmaster.admin.codes import picture_of
from postmaster.admin.directory import Problem, ProblemError
from postmaster.admin.page import Page
from postmaster.admin.problems import key_of, status_of
from postmaster.admin.sizes import ago
from postmaster.admin.visit import Visit

SCOPES = ("mail", "send", "dav")
USUAL = ("mail", "send")  # what a mail program needs
MOST_LABEL = 60  # characters, as `directory.changes` has it


async def show(visit: Visit) -> Response:
    """The list, and the way to a new one."""
    now = time.time()
    rows = [
        {
            "id": app.id,
            "label": app.label,
            "scopes": [visit.text(f"apps.{scope}") for scope in app.scopes],
            "created": ago(visit.text, now - app.created),
            "used": "" if app.last_use is None else ago(visit.text, now - app.last_use),
        }
        for app in await visit.site.directory.apps(visit.me.address)
    ]
    return visit.page("app_passwords", rows=rows)


async def show_form(visit: Visit) -> Response:
    """The form for a new one."""
    return _form(visit, problems={}, label="", chosen=USUAL)


async def take(visit: Visit) -> Response:
    """Make one and show it, this once."""
    label, secret = visit.form["label"].strip(), visit.form["password"]
    chosen = [scope for scope in SCOPES if scope in visit.form.all("scope")]
    problems: dict[str, str] = {}
    if not 0 < len(label) <= MOST_LABEL or not label.isprintable():
        problems["label"] = "apps.label-wrong"
    if not chosen:
        problems["scope"] = "apps.scope-missing"
    if not secret:
        problems |= {"password": "common.wrong-password"}
    status = 422
    if not problems:
        directory, person = visit.site.directory, visit.me.address
        try:
            made = await directory.add_app(person, secret, label, chosen, visit.client)
        except ProblemError as error:
            problems["password"] = key_of(error.problem, "common.wrong-password")
            status = status_of(error.problem)
        else:
            picture = picture_of(made.password)
            return visit.page("app_password_made", label=label, made=made, picture=picture)
    return _form(visit, status=status, problems=problems, label=label[:MOST_LABEL], chosen=chosen)


async def revoke(visit: Visit) -> Response:
    """Take one away; it is no error when that was done before."""
    try:
        await visit.site.directory.revoke_app(visit.me.address, visit.form["id"])
    except ProblemError as error:
        if error.problem is not Problem.REFUSED:
            raise
    return visit.go("/app-passwords", "apps.revoked")


def _form(visit: Visit, *, status: int = 200, **values: Any) -> Response:
    return visit.page("app_password_form", status=status, scopes=SCOPES, most=MOST_LABEL, **values)


PAGES = (
    Page("/app-passwords", show, menu="apps.menu"),
    Page("/app-passwords/new", show_form, take),
    Page("/app-passwords/revoke", take=revoke),
)
