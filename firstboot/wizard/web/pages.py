"""The pages' templates, and the headers that keep a page to itself."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

HERE = Path(__file__).parent

# Nothing is fetched from elsewhere, nothing is executed, nobody frames it.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with it browsers say no origin in their forms either.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


def with_code(text: str) -> Markup:
    """A text in which `words` are code, as the questions have it."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part
        for number, part in enumerate(parts)
    )


@functools.cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["with_code"] = with_code
    return environment


def render(name: str, *, status: int = 200, **values: Any) -> Response:
    """A page from its template; a name that it lacks is an error."""
    return HTMLResponse(_templates().get_template(f"{name}.j2").render(values), status)


def style() -> Response:
    return Response((HERE / "style.css").read_bytes(), media_type="text/css")


def icon() -> Response:
    text = _templates().get_template("icon.svg.j2").render()
    return Response(text, media_type="image/svg+xml")
