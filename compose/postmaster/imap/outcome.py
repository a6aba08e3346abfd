"""How a command can end other than well: each becomes one response, none a traceback."""

from __future__ import annotations


class SyntaxFaultError(Exception):
    """The client's command breaks the grammar: BAD."""


class RefusedError(Exception):
    """The command is right but cannot be done: NO, with a response code or without."""

    def __init__(self, text: str, code: str = "") -> None:
        """`code` is what stands in the brackets (RFC 5530), without them."""
        super().__init__(text)
        self.text = text
        self.code = code


class GoodbyeError(Exception):
    """The connection cannot go on: BYE."""
