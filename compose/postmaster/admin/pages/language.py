"""The switch of languages, which every page has."""

from __future__ import annotations

from starlette.responses import Response

from postmaster.admin.languages import LANGUAGES
from postmaster.admin.page import Page
from postmaster.admin.visit import LANGUAGE_COOKIE, LANGUAGE_SECONDS, Visit, set_cookie


async def take(visit: Visit) -> Response:
    """Remember a language, and go back to where the switch was."""
    back = visit.form["back"]
    # One of our own pages, and nothing that a browser takes for another host.
    if not back.startswith("/") or back.startswith("//") or not back.isascii() or "\\" in back:
        back = "/"
    response = visit.go(back)
    if visit.form["language"] in LANGUAGES:
        set_cookie(response, LANGUAGE_COOKIE, visit.form["language"], LANGUAGE_SECONDS)
    return response


PAGES = (Page("/language", take=take, public=True),)
