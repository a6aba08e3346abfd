"""Which page answers which request, and who may see it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from firstboot.wizard.web.finish import show_progress, take_reopen
from firstboot.wizard.web.forms import FormError, read_form, require_own_page
from firstboot.wizard.web.keeping import give_pdf, give_text, show_kit, take_group
from firstboot.wizard.web.pages import HEADERS, icon, render, style
from firstboot.wizard.web.pairing import new_token
from firstboot.wizard.web.steps import (
    show_start,
    show_step,
    show_summary,
    take_step,
    take_summary,
)
from firstboot.wizard.web.visit import Visit
from firstboot.wizard.web.wizard import Wizard

# The prefix makes browsers insist on Secure, on this host only, and on the path / (RFC 6265bis).
COOKIE = "__Host-mailstead"
LOG = logging.getLogger("mailstead.web")

Page: TypeAlias = "Callable[[Visit], Awaitable[Response]]"
Endpoint: TypeAlias = "Callable[[Request], Awaitable[Response]]"


def make_app(wizard: Wizard) -> Starlette:
    """The ASGI application of the web wizard."""

    async def handle_form_error(_request: Request, error: Exception) -> Response:
        assert isinstance(error, FormError)
        text = f"{error.message[:1].upper()}{error.message[1:]}. {error.hint}"
        return _finished(
            render("message", status=error.status, heading="Not taken", text=text, there="/")
        )

    async def handle_http_error(_request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if status == 500:
            LOG.error("unexpected error", exc_info=error)
        heading = "There is no such page" if status == 404 else "That did not work"
        text = "Go on from the beginning; your answers are kept."
        return _finished(render("message", status=status, heading=heading, text=text, there="/"))

    guarded = _guarded(wizard)
    return Starlette(
        routes=[
            Route("/style.css", _plain(style)),
            Route("/icon.svg", _plain(icon)),
            Route("/pair", _pairing(wizard), methods=["GET", "POST"]),
            Route("/", guarded(_show_beginning)),
            Route("/start", guarded(show_start)),
            Route("/step/{name}", guarded(show_step)),
            Route("/step/{name}", guarded(take_step), methods=["POST"]),
            Route("/summary", guarded(show_summary)),
            Route("/summary", guarded(take_summary), methods=["POST"]),
            Route("/progress", guarded(show_progress, always=True)),
            Route("/reopen", guarded(take_reopen, always=True), methods=["POST"]),
            Route("/kit", guarded(show_kit, always=True)),
            Route("/kit", guarded(take_group, always=True), methods=["POST"]),
            Route("/kit.txt", guarded(give_text, always=True)),
            Route("/kit.pdf", guarded(give_pdf, always=True)),
        ],
        exception_handlers={
            FormError: handle_form_error,
            HTTPException: handle_http_error,
            Exception: handle_http_error,
        },
    )


async def _show_beginning(_visit: Visit) -> Response:
    return RedirectResponse("/start", 303)


def _guarded(wizard: Wizard) -> Callable[..., Endpoint]:
    """Pages for paired browsers only; those of the questions end with the hand-over."""

    def guard(page: Page, *, always: bool = False) -> Endpoint:
        async def answer(request: Request) -> Response:
            token = request.cookies.get(COOKIE, "")
            session = wizard.sessions.find(token)
            if session is None:
                return _finished(RedirectResponse("/pair", 303))
            form = {}
            if request.method == "POST":
                require_own_page(request)
                form = dict(await read_form(request))
                _require_token(wizard, token, request.url.path, form.pop("form", ""))
            if not always and wizard.is_handed_over:
                return _finished(RedirectResponse("/progress", 303))
            return _finished(await page(Visit(wizard, request, token, session, form)))

        return answer

    return guard


def _pairing(wizard: Wizard) -> Endpoint:
    """The page that asks for the code; the only one that an unpaired browser gets."""

    def page(token: str, *, status: int = 200, code: str = "", problem: str = "") -> Response:
        return render(
            "pair",
            status=status,
            form=wizard.sessions.form_token(token, "/pair"),
            locked=wizard.pairing.locked,
            fingerprint=wizard.fingerprint,
            code=code,
            problem=problem,
            notice="",
        )

    async def answer(request: Request) -> Response:
        token = request.cookies.get(COOKIE, "")
        if request.method == "POST":
            require_own_page(request)
            form = await read_form(request)
            _require_token(wizard, token, "/pair", form.get("form", ""))
            if wizard.pairing.redeem(form.get("code", "")):
                # A new token: nobody who knew the one before has part in the session.
                return _with_cookie(RedirectResponse("/", 303), wizard.sessions.begin())
            problem = "That is not the code that the console shows now."
            return _finished(page(token, status=403, problem=problem))
        if wizard.sessions.find(token) is not None:
            return _finished(RedirectResponse("/", 303))
        token = token or new_token()
        code = "".join(c for c in request.query_params.get("code", "")[:20] if c.isdigit())
        return _with_cookie(page(token, code=code), token)

    return answer


def _require_token(wizard: Wizard, token: str, form: str, given: str) -> None:
    if not wizard.sessions.is_form_token(token, form, given):
        raise FormError(403, "that form does not come from this browser's own page")


def _plain(make: Callable[[], Response]) -> Endpoint:
    async def answer(_request: Request) -> Response:
        return _finished(make())

    return answer


def _with_cookie(response: Response, token: str) -> Response:
    response.set_cookie(COOKIE, token, path="/", secure=True, httponly=True, samesite="strict")
    return _finished(response)


def _finished(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response
