"""Signing in and out. What is said of a failure does not tell whether the address exists."""

from __future__ import annotations

from starlette.responses import Response

from postmaster.admin.browsers import browser_of
from postmaster.admin.directory import PersonState, ProblemError
from postmaster.admin.page import Page
from postmaster.admin.problems import key_of, status_of
from postmaster.admin.sessions import Sessions
from postmaster.admin.visit import (
    HALFWAY_COOKIE,
    SESSION_COOKIE,
    VISITOR_COOKIE,
    Visit,
    remove_cookie,
    set_cookie,
)

SECOND_STEP = "/sign-in/second-step"
MOST_ADDRESS = 254  # characters of an address (RFC 5321, 4.5.3.1.3)


async def show(visit: Visit) -> Response:
    """The form, unless somebody is logged in."""
    if visit.session is not None:
        return visit.go("/")
    return _form(visit)


async def take(visit: Visit) -> Response:
    """Log in."""
    login, password = visit.form["address"].strip(), visit.form["password"]
    if not login or not password or len(login) > MOST_ADDRESS:
        return _form(visit, status=422, login=login[:MOST_ADDRESS], problem="sign-in.wrong")
    try:
        person = await visit.site.directory.log_in(login, password, visit.client)
        state = await visit.site.directory.describe(person)
    except ProblemError as error:
        key = key_of(error.problem, "sign-in.wrong")
        return _form(visit, status=status_of(error.problem), login=login, problem=key)
    if visit.session is not None:
        # This browser's former session ends: nobody else's is taken over.
        visit.site.sessions.end(visit.session.person, visit.session.id)
        visit.session = None
    return go_halfway(visit, state) if state.second_factor else enter(visit, state)


def go_halfway(visit: Visit, state: PersonState) -> Response:
    """Have somebody who has shown the password show a second factor (`second_step`)."""
    response = visit.go(SECOND_STEP)
    set_cookie(response, HALFWAY_COOKIE, _begin(visit, visit.site.halfway, state))
    return response


def enter(visit: Visit, state: PersonState, path: str = "/", notice: str = "") -> Response:
    """Begin the session of somebody who has shown all that there is to show."""
    token = _begin(visit, visit.site.sessions, state)
    visit.session = visit.site.sessions.find(token)
    response = visit.go(path, notice)
    set_cookie(response, SESSION_COOKIE, token)
    remove_cookie(response, VISITOR_COOKIE)
    return response


async def leave(visit: Visit) -> Response:
    """Log out."""
    visit.site.sessions.end(visit.me.address, visit.my_session.id)
    visit.session = None
    response = visit.go("/sign-in")
    remove_cookie(response, SESSION_COOKIE)
    return response


def _begin(visit: Visit, sessions: Sessions, state: PersonState) -> str:
    browser = browser_of(visit.request.headers.get("user-agent", ""))
    return sessions.begin(state.address, state.stamp, visit.client, browser)


def _form(visit: Visit, *, status: int = 200, login: str = "", problem: str = "") -> Response:
    return visit.page("sign_in", status=status, login=login, problem=problem)


PAGES = (
    Page("/sign-in", show, take, public=True),
    Page("/sign-out", take=leave),
)
