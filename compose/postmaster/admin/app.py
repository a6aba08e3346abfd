"""The ASGI application: which page answers which request, and who may see it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from postmaster.admin.api import api_routes, problem
from postmaster.admin.directory import Problem, ProblemError
from postmaster.admin.forms import TOKEN, FormError, new_secret, read_form, require_own_page
from postmaster.admin.machine_link import MachineError
from postmaster.admin.page import Answer, Page
from postmaster.admin.pages import PAGES
from postmaster.admin.rendering import FILES, fixed_file
from postmaster.admin.site import Site
from postmaster.admin.visit import (
    ADMINISTRATOR_COOKIE,
    ADMINISTRATOR_SIGN_IN,
    SESSION_COOKIE,
    VISITOR_COOKIE,
    Visit,
    remove_cookie,
    set_cookie,
)
from postmaster.serving import place

logger = logging.getLogger(__name__)

SIGN_IN = "/sign-in"

Endpoint: TypeAlias = "Callable[[Request], Awaitable[Response]]"


def make_app(site: Site) -> Starlette:
    """Return the application."""
    routes: list[BaseRoute] = [api_routes(site)]
    routes += [Route(f"/{name}", _file(name)) for name in FILES]
    for page in PAGES:
        if page.show is not None:
            routes.append(Route(page.path, _endpoint(site, page, page.show), methods=["GET"]))
        if page.take is not None:
            routes.append(Route(page.path, _endpoint(site, page, page.take), methods=["POST"]))
    app = Starlette(
        routes=routes,
        exception_handlers={
            FormError: _refusal(site),
            HTTPException: _refusal(site),
            MachineError: _machine_refusal(site),
            ProblemError: _refusal(site),
            Exception: _refusal(site),
        },
    )
    # It would lead to the name and scheme by which the proxy asks.
    app.router.redirect_slashes = False
    return app


def _endpoint(site: Site, page: Page, answer: Answer) -> Endpoint:
    async def respond(request: Request) -> Response:
        visit = await _visit(site, request)
        administrator = request.cookies.get(ADMINISTRATOR_COOKIE, "")
        if page.administrator:
            if not administrator:
                return visit.go(ADMINISTRATOR_SIGN_IN)
            visit.administrator = visit.secret = administrator
        elif visit.session is None and not page.public:
            return visit.go(SIGN_IN)
        if request.method == "POST":
            require_own_page(request)
            visit.form = await read_form(request)
            # The language is chosen on the pages of both.
            secrets = (visit.secret, administrator) if page.public else (visit.secret,)
            site.tokens.require_one(secrets, visit.form[TOKEN])
        made = "" if visit.secret else new_secret()
        visit.secret = visit.secret or made
        response = await answer(visit)
        if made:
            set_cookie(response, VISITOR_COOKIE, made)
        return response

    return respond


async def _visit(site: Site, request: Request) -> Visit:
    """Find out who it is. A session ends with its password, and when its person has left."""
    token = request.cookies.get(SESSION_COOKIE, "")
    session = site.sessions.find(token)
    if session is None:
        return Visit(site, request, request.cookies.get(VISITOR_COOKIE, ""))
    visit = Visit(site, request, token, session)
    try:
        visit.person = await site.directory.describe(session.person)
    except ProblemError as error:
        if error.problem is not Problem.NOBODY:
            raise
    stamp = "" if visit.person is None else visit.person.stamp
    # Before the first login has locked the mail there is none.
    if visit.person is None or session.stamp not in {"", stamp}:
        site.sessions.end(session.person, session.id)
        return Visit(site, request, request.cookies.get(VISITOR_COOKIE, ""))
    session.stamp = stamp
    return visit


def _refusal(site: Site) -> Callable[[Request, Exception], Awaitable[Response]]:
    """A page for what could not be done, which never says more than that."""

    async def respond(request: Request, error: Exception) -> Response:
        headers: dict[str, str] = {}
        # Such as a line end in the path, for which nothing is routed to the API.
        if request.scope["path"].startswith("/api/") and isinstance(error, HTTPException):
            return problem(error.status_code, headers=error.headers)
        if isinstance(error, FormError):
            status, key = error.status, "form"
        elif isinstance(error, HTTPException):
            status, key = error.status_code, "gone" if error.status_code == 404 else "form"
            headers = dict(error.headers or {})
        elif isinstance(error, ProblemError):
            status, key = 503, "away"
        else:
            status, key = 500, "defect"
            # Not its text, which may quote what was sent.
            logger.error("failure service=admin kind=%s %s", type(error).__name__, place(error))
        response = Visit(site, request, "").page("refusal", status=status, key=key)
        response.headers.update(headers)
        return response

    return respond


def _machine_refusal(site: Site) -> Callable[[Request, Exception], Awaitable[Response]]:
    """To the sign-in, where nobody is signed in any more; otherwise a page that says so."""

    async def respond(request: Request, error: Exception) -> Response:
        visit = Visit(site, request, "")
        if isinstance(error, MachineError) and error.kind == "denied":
            response = visit.go(ADMINISTRATOR_SIGN_IN)
            remove_cookie(response, ADMINISTRATOR_COOKIE)
            return response
        return visit.page("refusal", status=503, key="away")

    return respond


def _file(name: str) -> Endpoint:
    async def respond(_request: Request) -> Response:
        return fixed_file(name)

    return respond
