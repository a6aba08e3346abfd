"""A browser without a screen: forms and cookies over HTTPS, trusting this one certificate."""

from __future__ import annotations

import html
import re
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from firstboot.wizard.web.service import NAME
from tests.unit.firstboot.wizard.site import Site

SECONDS = 180.0


class _Named(HTTPAdapter):
    """Accepts the certificate's own name, though the address is another."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, assert_hostname=NAME)


class Client:
    """One browser with its cookies."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(site.certificate)
        self.session.mount("https://", _Named())

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def get(self, path: str, *, follow: bool = True) -> requests.Response:
        return self.session.get(self.site.address + path, timeout=SECONDS, allow_redirects=follow)

    def post(self, path: str, form: dict[str, str], **options: Any) -> requests.Response:
        return self.session.post(self.site.address + path, data=form, timeout=SECONDS, **options)

    def submit(self, path: str, fields: dict[str, str]) -> requests.Response:
        """Load a page, and send its form with these fields filled in."""
        page = self.get(path)
        return self.post(path, {**hidden_fields(page.text), **fields})

    def pair(self) -> requests.Response:
        return self.submit("/pair", {"code": self.site.use_code()})


def hidden_fields(page: str) -> dict[str, str]:
    """What a form of ours carries unseen."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    return {name: html.unescape(value) for name, value in found}
