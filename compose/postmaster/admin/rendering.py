"""The pages' templates and fixed files, and the headers that keep a page to itself."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

HERE = Path(__file__).parent

# Nothing is fetched from elsewhere, nothing is executed, nobody frames it. `data:` is for QR codes.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self' data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with it browsers say no origin in their forms either.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "no-store",
}
# Of the pages that ask for a passkey, which no browser offers without a script.
SCRIPT_POLICY = f"{POLICY}; script-src 'self'"
SCRIPT = "passkeys.js"
FILES: Mapping[str, str] = {
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
    SCRIPT: "text/javascript",
}
FILE_SECONDS = 3600  # for which a browser keeps these


def with_code(text: str) -> Markup:
    """Return a text in which `words` are code."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part
        for number, part in enumerate(parts)
    )


@functools.cache
def templates() -> jinja2.Environment:
    """Return the environment in which a name that a page lacks is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["with_code"] = with_code
    # In its address, so that no browser shows the pages of one release in the style of another.
    environment.globals["style"] = _mark("style.css")
    environment.globals["passkeys"] = _mark(SCRIPT)
    return environment


def _mark(name: str) -> str:
    return hashlib.sha256((HERE / name).read_bytes()).hexdigest()[:12]


def render(name: str, status: int, values: Mapping[str, Any]) -> Response:
    """Return a page from its template; with `script` it may run the one for passkeys."""
    text = templates().get_template(f"{name}.j2").render(values)
    response = finished(HTMLResponse(text, status))
    if values["script"]:
        response.headers["Content-Security-Policy"] = SCRIPT_POLICY
    return response


def fixed_file(name: str) -> Response:
    """Return one of FILES."""
    if name.endswith(".svg"):
        data = templates().get_template(f"{name}.j2").render().encode()
    else:
        data = (HERE / name).read_bytes()
    response = finished(Response(data, media_type=FILES[name]))
    response.headers["Cache-Control"] = f"max-age={FILE_SECONDS}"
    return response


def finished(response: Response) -> Response:
    """Return a response with the headers that all have."""
    response.headers.update(HEADERS)
    return response
