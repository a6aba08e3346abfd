"""The stack's web server, as programs use it."""

from __future__ import annotations

import base64
import http.client
import socket
from dataclasses import dataclass

from tests.stack.mail import SECONDS, Mail
from tools.stack.example import Person
from tools.stack.ports import LOOPBACK


class _Https(http.client.HTTPSConnection):
    """To the loopback address, while the certificate has to name the host."""

    def connect(self) -> None:
        plain = socket.create_connection((LOOPBACK, self.port), SECONDS)
        context = self._context  # type: ignore[attr-defined]
        self.sock = context.wrap_socket(plain, server_hostname=self.host)


@dataclass(frozen=True)
class Reply:
    """What the web server answered."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Web:
    """The web server as programs use it."""

    mail: Mail

    @property
    def host(self) -> str:
        """Its name and port, as in addresses."""
        return f"{self.mail.stack.hostname}:{self.mail.stack.ports['https']}"

    def ask(
        self,
        method: str,
        path: str,
        body: str = "",
        person: Person | None = None,
        password: str = "",
        **more: str,
    ) -> Reply:
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        if person is not None:
            login = f"{person.address}:{password or self.mail.password(person)}"
            headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
        stack = self.mail.stack
        connection = _Https(stack.hostname, stack.ports["https"], context=self.mail.context)
        try:
            connection.request(method, path, body.encode(), headers)
            found = connection.getresponse()
            # Some servers write names in small letters.
            sent = {name.title(): value for name, value in found.getheaders()}
            return Reply(found.status, sent, found.read())
        finally:
            connection.close()
