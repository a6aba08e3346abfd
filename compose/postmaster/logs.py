"""Logging: one line an event on stdout, for the journal; never mail content, never a secret."""

from __future__ import annotations

import logging
import sys


def start_logging() -> None:
    """Send the package's events to stdout; time and service name are added by the journal."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(levelname)s %(message)s")


def event(logger: logging.Logger, name: str, **fields: object) -> None:
    """Log `name key=value …`; values from outside are escaped so that they stay on one line."""
    logger.info("%s", _line(name, fields))


def warn(logger: logging.Logger, name: str, **fields: object) -> None:
    """Like `event`, for what an operator should look at."""
    logger.warning("%s", _line(name, fields))


def _line(name: str, fields: dict[str, object]) -> str:
    return " ".join([name, *(f"{key}={_value(value)}" for key, value in fields.items())])


def _value(value: object) -> str:
    text = str(value)
    if text and text.isascii() and text.isprintable() and " " not in text and '"' not in text:
        return text[:200]
    return ascii(text[:200])
