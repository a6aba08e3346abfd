"""One request: who makes it, in which language, and what it is answered with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from postmaster.admin.directory import PersonState
from postmaster.admin.forms import NO_FORM, Form
from postmaster.admin.languages import LANGUAGES, choose_language
from postmaster.admin.machine_link import MachineError
from postmaster.admin.rendering import finished, render, with_code
from postmaster.admin.sessions import Session
from postmaster.admin.site import Site

# The prefix makes browsers insist on Secure, on this host only, and on the path / (RFC 6265bis).
SESSION_COOKIE = "__Host-session"
HALFWAY_COOKIE = "__Host-halfway"  # of a sign-in that lacks its second factor
VISITOR_COOKIE = "__Host-visitor"  # of a browser that is not logged in, for the tokens of its forms
ADMINISTRATOR_COOKIE = "__Host-administrator"  # holds the token that the machine gave
LANGUAGE_COOKIE = "__Host-language"
LANGUAGE_SECONDS = 365 * 24 * 3600
ADMINISTRATOR_SIGN_IN = "/admin/sign-in"
CLIENT_HEADER = "client-address"  # set by the proxy, whatever the client sends


@dataclass
class Visit:
    """A request and what was found out about it; `session` and `me` are of who is logged in."""

    site: Site
    request: Request
    secret: str = field(repr=False)  # of the cookie that the tokens of forms are made from
    session: Session | None = None
    person: PersonState | None = None
    form: Form = NO_FORM
    administrator: str = field(default="", repr=False)  # the token of who runs the machine

    @property
    def path(self) -> str:
        """Return the path that was asked for."""
        return self.request.url.path

    @property
    def language(self) -> str:
        """Return the language of the page."""
        wanted = self.request.cookies.get(LANGUAGE_COOKIE, "")
        return choose_language(wanted, self.request.headers.get("accept-language", ""))

    @property
    def client(self) -> str:
        """Return the client's IP address, "unknown" when nothing stands between."""
        return self.request.headers.get(CLIENT_HEADER, "unknown")

    @property
    def me(self) -> PersonState:
        """Return who is logged in; for pages that nobody else gets."""
        if self.person is None:
            raise LookupError("nobody is logged in")
        return self.person

    @property
    def my_session(self) -> Session:
        """Return the session; for pages that only who is logged in gets."""
        if self.session is None:
            raise LookupError("nobody is logged in")
        return self.session

    async def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """Ask the machine as who runs it. Raises MachineError."""
        return await self.site.link.ask(verb, self.administrator, **arguments)

    def refused(self, error: MachineError) -> int:
        """Return the status of a page that shows what the machine said no to.

        Raises what no page shows: that nobody is signed in, or that the machine does not answer.
        """
        if error.kind in {"denied", "away"}:
            raise error
        return 422 if error.kind in {"invalid", "missing", "refused"} else 503

    def text(self, key: str, **values: object) -> str:
        """Return a text of the catalogue in the language of the page."""
        return self.site.catalogue.text(self.language, key, **values)

    def say(self, words: str) -> Markup:
        """Return what the machine says, in the language of the page or else marked as English."""
        known = self.site.catalogue.sentence(self.language, words)
        if known is not None:
            return with_code(known)
        return Markup('<span lang="en">{}</span>').format(with_code(words))

    def page(self, name: str, *, status: int = 200, **values: Any) -> Response:
        """Return the page that a template makes of `values` and of what every page has."""
        notice = ""
        if self.session is not None:
            notice, self.session.notice = self.session.notice, ""
        if self.administrator:
            notice = self._done
        shared = {
            "t": self.text,
            "say": self.say,
            "language": self.language,
            "lang": LANGUAGES[self.language][1],
            "languages": LANGUAGES,
            "machine": self.site.machine,
            "me": self.person,
            "path": self.path,
            "token": self.site.tokens.make(self.secret) if self.secret else "",
            "notice": notice,
            "menu": self.site.administrator_menu if self.administrator else self.site.menu,
            "administrator": bool(self.administrator),
            "script": False,
        }
        return render(name, status, shared | values)

    def go(self, path: str, notice: str = "") -> Response:
        """Lead to another page, which shows a text of the catalogue when `notice` is its key."""
        if self.administrator:
            path += f"?done={notice}" if notice else ""
        elif self.session is not None:
            self.session.notice = notice
        return finished(RedirectResponse(path, 303))

    @property
    def _done(self) -> str:
        """What the page before has done, by the address: of it nothing is kept here."""
        key = self.request.query_params.get("done", "")
        return key if key in self.site.catalogue.texts else ""


def set_cookie(response: Response, name: str, value: str, seconds: int | None = None) -> None:
    """Give a browser a cookie; without `seconds` it lasts until the browser is closed."""
    response.set_cookie(
        name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="strict"
    )


def remove_cookie(response: Response, name: str) -> None:
    """Take a cookie away."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="strict")
