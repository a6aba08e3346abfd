"""Somebody else's mail server as far as it takes to see whether mail gets out."""

from __future__ import annotations

import smtplib
import socket
import ssl

from firstboot.base.errors import CheckError
from firstboot.base.sections import Relay

# RFC 5321, 4.5.3.1.5: the longest reply line.
_LONGEST = 512


class UnreachableError(CheckError):
    """A server does not answer; the message says why."""


class LoginRefusedError(CheckError):
    """A smart host does not take the login, or takes none; the message says what it answered."""


def read_greeting(host: str, port: int, timeout: float) -> str:
    """The first line that a mail server says, and then leave it (RFC 5321, 3.1).

    By IPv4 when there is a choice, since that is what most mail goes by. `timeout` is in seconds,
    for each step. Raises UnreachableError.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise UnreachableError(f"{host} could not be looked up") from None
    family, kind, protocol, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    try:
        with socket.socket(family, kind, protocol) as connection:
            connection.settimeout(timeout)
            connection.connect(address)
            line = connection.makefile("rb").readline(_LONGEST)
            connection.sendall(b"QUIT\r\n")
    except TimeoutError:
        raise UnreachableError(f"{host} did not answer within {timeout:g} s") from None
    except OSError as error:
        raise UnreachableError(f"{host}: {error.strerror or error}") from None
    return line.decode("ascii", errors="replace").strip()


def connects(host: str, port: int, timeout: float) -> bool:
    """Whether somebody takes a connection there."""
    try:
        socket.create_connection((host, port), timeout=timeout).close()
    except OSError:
        return False
    return True


def try_relay(relay: Relay, hostname: str, context: ssl.SSLContext, timeout: float) -> None:
    """Go as far as Postfix does before a message at a smart host, and leave it.

    Its certificate has to be right by `context`. `timeout` is in seconds, for each step. Raises
    UnreachableError when there is no encrypted line, LoginRefusedError when it takes no login.
    """
    where = f"{relay.host}:{relay.number}"
    assert relay.host is not None, "there is a smart host"
    try:
        with _connected(relay, relay.host, hostname, context, timeout) as connection:
            connection.ehlo()
            if relay.username and relay.password:
                connection.login(relay.username, relay.password)
    except smtplib.SMTPAuthenticationError as error:
        said = error.smtp_error
        text = said if isinstance(said, str) else said.decode("ascii", errors="replace")
        raise LoginRefusedError(
            f"{where} does not take the login of {relay.username}: {error.smtp_code} {text}"
        ) from None
    except smtplib.SMTPNotSupportedError as error:
        if "AUTH" in str(error).upper():
            raise LoginRefusedError(f"{where} takes no login: {error}") from None
        raise UnreachableError(f"{where} does not encrypt: {error}") from None
    except ssl.SSLCertVerificationError as error:
        raise UnreachableError(f"{where}: its certificate: {error.verify_message}") from None
    except TimeoutError:
        raise UnreachableError(f"{where} did not answer within {timeout:g} s") from None
    except socket.gaierror:
        raise UnreachableError(f"{relay.host} could not be looked up") from None
    except smtplib.SMTPException as error:
        raise UnreachableError(f"{where}: {error}") from None
    except OSError as error:
        raise UnreachableError(f"{where}: {error.strerror or error}") from None


def _connected(
    relay: Relay, host: str, hostname: str, context: ssl.SSLContext, timeout: float
) -> smtplib.SMTP:
    """A connection that is encrypted, in one of the two ways."""
    if relay.tls == "implicit":
        return smtplib.SMTP_SSL(
            host, relay.number, local_hostname=hostname, timeout=timeout, context=context
        )
    connection = smtplib.SMTP(host, relay.number, local_hostname=hostname, timeout=timeout)
    try:
        connection.starttls(context=context)
    except BaseException:
        connection.close()
        raise
    return connection
