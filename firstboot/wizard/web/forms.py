"""What a browser sends, within bounds, and whether it comes from one of our own pages."""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import Mapping

from starlette.requests import Request

from firstboot.base.errors import MailsteadError

# The longest answer has 4000 characters, each up to 12 bytes as %XX.
MOST_BYTES = 256 << 10
MOST_FIELDS = 100
BODY_SECONDS = 20.0
TYPE = "application/x-www-form-urlencoded"


class FormError(MailsteadError):
    """A form that none of our pages sends; `status` is the answer in HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message, "Go back, load the page anew, and try again.")
        self.status = status


async def read_form(request: Request) -> Mapping[str, str]:
    """The fields of a form. Raises FormError when it is too large, too slow or of another kind."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != TYPE:
        raise FormError(415, "that is no form")
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                data += chunk
                if len(data) > MOST_BYTES:
                    raise FormError(413, "that is more than the form can have")
    except TimeoutError:
        raise FormError(408, "the form did not come in time") from None
    try:
        pairs = urllib.parse.parse_qsl(
            data.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=MOST_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise FormError(400, "the form cannot be read") from None
    return dict(pairs)


def require_own_page(request: Request) -> None:
    """Refuse a form that another site's page sends. Raises FormError.

    Browsers say where a form comes from (Fetch, `Origin`); other programs say nothing.
    """
    origin = request.headers.get("origin")
    if origin is not None and origin != f"https://{request.headers.get('host', '')}":
        raise FormError(403, "that form comes from another site")
