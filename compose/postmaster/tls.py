"""The servers' side of TLS, with a certificate that may be replaced while connections are open."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from postmaster.errors import StartError
from postmaster.logs import event, warn

logger = logging.getLogger(__name__)

# As Mozilla's intermediate configuration; those of TLS 1.3 are not chosen by this (ciphers(1)).
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(certificate: Path) -> ssl.SSLContext:
    """Return TLS 1.2 or newer with the key and the certificate chain in one PEM file.

    Of TLS 1.2 only what has forward secrecy and authenticated encryption.

    A new connection gets what the file holds at that moment; those that are open keep theirs. The
    file is to be replaced as a whole (rename(2)). When the new one cannot be used, the one before
    stays and the log says so. Raises StartError when the first one cannot be used.
    """
    stamp = _stamp(certificate)
    try:
        first = _load(certificate)
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"cannot use the certificate {certificate}: {error}") from error
    current = first

    def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Called by OpenSSL for each connection before it sends a certificate."""
        nonlocal stamp, current
        if (seen := _stamp(certificate)) != stamp:
            stamp = seen
            try:
                current = _load(certificate)
                event(logger, "new-certificate", file=certificate)
            except (OSError, ssl.SSLError) as error:
                warn(logger, "certificate-unusable", file=certificate, error=error)
        connection.context = current

    first.sni_callback = choose
    return first


def _load(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.load_cert_chain(certificate)
    return context


def _stamp(file: Path) -> tuple[int, int] | None:
    """What differs when a file was replaced; None while there is none."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
