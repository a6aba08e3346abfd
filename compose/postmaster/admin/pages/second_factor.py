"""What one shows besides the password when signing in: an authenticator app, passkeys."""

from __future__ import annotations

import time

from starlette.responses import Response

from postmaster.admin.codes import picture_of
from postmaster.admin.directory import Problem, ProblemError
from postmaster.admin.page import Page
from postmaster.admin.problems import key_of, status_of
from postmaster.admin.sizes import ago
from postmaster.admin.visit import Visit

OVERVIEW, NEW_APP, NEW_PASSKEY = "/second-factor", "/second-factor/app", "/second-factor/passkey"
TOTP = "totp"  # the directory's name of an authenticator app
GROUP = 4  # letters of a key that are shown together
MOST_LABEL = 60  # characters, as `directory.second_factors` has it


async def show(visit: Visit) -> Response:
    """What there is, and what it means."""
    return await _overview(visit)


async def remove(visit: Visit) -> Response:
    """Take one away, by the password."""
    secret, name = visit.form["password"], visit.form["id"]
    try:
        if not secret:
            raise ProblemError(Problem.WRONG)
        await visit.site.directory.remove_factor(visit.me.address, secret, name, visit.client)
    except ProblemError as error:
        if error.problem is Problem.REFUSED:
            return visit.go(OVERVIEW)  # it was done before
        key = key_of(error.problem, "common.wrong-password")
        return await _overview(visit, status_of(error.problem), key)
    return visit.go(OVERVIEW, "second-factor.removed")


async def _overview(visit: Visit, status: int = 200, problem: str = "") -> Response:
    now, rows = time.time(), []
    if TOTP in visit.me.second_factor:
        rows.append({"id": TOTP, "label": visit.text("second-factor.app-title"), "detail": ""})
    for key in await visit.site.directory.passkeys(visit.me.address):
        created = f"{visit.text('apps.created')} {ago(visit.text, now - key.created)}"
        used = (
            visit.text("apps.never")
            if key.last_use is None
            else ago(visit.text, now - key.last_use)
        )
        detail = f"{created} · {visit.text('apps.used')} {used}"
        rows.append({"id": key.id, "label": key.label, "detail": detail})
    return visit.page("second_factor", status=status, rows=rows, problem=problem)


# An authenticator app


async def show_app(visit: Visit) -> Response:
    """A new key for an authenticator app, and the form that proves that the app has it."""
    return await _app(visit, "", {})


async def take_app(visit: Visit) -> Response:
    """Set it up; all other sessions end."""
    key, code, secret = visit.form["key"], visit.form["code"].strip(), visit.form["password"]
    problems = {} if code else {"code": "second-factor.code-wrong"}
    problems |= {} if secret else {"password": "common.wrong-password"}
    status = 422
    if not problems:
        directory, person = visit.site.directory, visit.me.address
        try:
            await directory.add_totp(person, secret, key, code, visit.client)
        except ProblemError as error:
            problems = {"password": key_of(error.problem, "common.wrong-password")}
            if error.problem is Problem.REFUSED:
                problems = {"code": "second-factor.code-wrong"}
            status = status_of(error.problem)
        else:
            return _added(visit)
    return await _app(visit, key, problems, status)


async def _app(visit: Visit, key: str, problems: dict[str, str], status: int = 200) -> Response:
    made = await visit.site.directory.new_totp(visit.me.address, key)
    groups = [made.key[start : start + GROUP] for start in range(0, len(made.key), GROUP)]
    return visit.page(
        "second_factor_app",
        status=status,
        made=made,
        shown=" ".join(groups),
        picture=picture_of(made.uri),
        problems=problems,
    )


# Passkeys


async def show_passkey(visit: Visit) -> Response:
    """The form for a new one."""
    return await _passkey(visit, "", {})


async def take_passkey(visit: Visit) -> Response:
    """Take what the browser has made; all other sessions end."""
    label, secret, answer = (visit.form[name] for name in ("label", "password", "answer"))
    state, visit.my_session.asked = visit.my_session.asked, ""
    label = label.strip()
    problems = {}
    if not 0 < len(label) <= MOST_LABEL or not label.isprintable():
        problems["label"] = "apps.label-wrong"
    if not secret:
        problems["password"] = "common.wrong-password"  # noqa: S105
    if not answer:
        problems["answer"] = "second-factor.no-script"
    status = 422
    if not problems:
        directory, person = visit.site.directory, visit.me.address
        try:
            await directory.add_passkey(
                person, secret, label=label, state=state, answer=answer, client=visit.client
            )
        except ProblemError as error:
            problems = {"password": key_of(error.problem, "common.wrong-password")}
            if error.problem is Problem.REFUSED:
                problems = {"answer": "second-factor.passkey-wrong"}
            status = status_of(error.problem)
        else:
            return _added(visit)
    return await _passkey(visit, label[:MOST_LABEL], problems, status)


async def _passkey(
    visit: Visit, label: str, problems: dict[str, str], status: int = 200
) -> Response:
    try:
        asked = await visit.site.directory.ask_new_passkey(visit.me.address)
    except ProblemError as error:
        if error.problem is not Problem.REFUSED:
            raise
        return visit.go(OVERVIEW, "second-factor.many")
    visit.my_session.asked = asked.state
    return visit.page(
        "second_factor_passkey",
        status=status,
        script=True,
        question=asked.question,
        label=label,
        most=MOST_LABEL,
        problems=problems,
    )


def _added(visit: Visit) -> Response:
    visit.site.sessions.end_others(visit.my_session)
    return visit.go(OVERVIEW, "second-factor.added")


PAGES = (
    Page(OVERVIEW, show, menu="second-factor.menu"),
    Page(f"{OVERVIEW}/remove", take=remove),
    Page(NEW_APP, show_app, take_app),
    Page(NEW_PASSKEY, show_passkey, take_passkey),
)
