"""What a browser sends, within bounds, and whether it comes from one of our own pages."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request

MOST_BYTES = 16 << 10
MOST_FIELDS = 50
BODY_SECONDS = 20.0
TYPE = "application/x-www-form-urlencoded"
TOKEN = "form"  # the hidden field of every form  # noqa: S105


class FormError(Exception):
    """A form that none of our pages sends; `status` is the answer in HTTP."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


@dataclass(frozen=True)
class Form:
    """The fields of a form, each of which may come several times."""

    fields: Mapping[str, Sequence[str]]

    def __getitem__(self, name: str) -> str:
        """Return the one value of a field, "" when there is none."""
        return (self.fields.get(name) or [""])[0]

    def all(self, name: str) -> Sequence[str]:
        """Return all values of a field."""
        return self.fields.get(name) or []


NO_FORM = Form({})


@dataclass(frozen=True)
class FormTokens:
    """Tokens that only our own pages have: made from a cookie's secret, which no other site knows.

    The key is made anew with each start.
    """

    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def make(self, secret: str) -> str:
        """Return the token of the forms of a browser with this secret in its cookie."""
        return hmac.new(self.key, secret.encode(), "sha256").hexdigest()

    def require(self, secret: str, given: str) -> None:
        """Raise FormError unless this is the token."""
        self.require_one((secret,), given)

    def require_one(self, secrets: Sequence[str], given: str) -> None:
        """Raise FormError unless this is the token of one of the secrets that a browser has."""
        if not any(
            secret and hmac.compare_digest(self.make(secret).encode(), given.encode())
            for secret in secrets
        ):
            raise FormError(403)


async def read_form(request: Request) -> Form:
    """Return the fields. Raises FormError when it is too large, too slow or of another kind."""
    data = await read_body(request, TYPE)
    try:
        fields = urllib.parse.parse_qs(
            data.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=MOST_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise FormError(400) from None
    return Form(fields)


async def read_body(request: Request, kind: str) -> bytes:
    """Return the body. Raises FormError when it is too large, too slow or of another kind."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != kind:
        raise FormError(415)
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                data += chunk
                if len(data) > MOST_BYTES:
                    raise FormError(413)
    except TimeoutError:
        raise FormError(408) from None
    return bytes(data)


def require_own_page(request: Request) -> None:
    """Refuse a form that another site's page sends. Raises FormError.

    Browsers say where a form comes from (Fetch: `Origin`, `Sec-Fetch-Site`); other programs say
    nothing, and have no token.
    """
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site")
    if origin is not None and origin != f"https://{request.headers.get('host', '')}":
        raise FormError(403)
    if site is not None and site != "same-origin":
        raise FormError(403)


def new_secret() -> str:
    """Return a secret for the cookie of a browser that is not logged in: 256 random bits."""
    return secrets.token_urlsafe(32)
