"""Options that several verbs share, so that they are spelled and explained alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from tools.build.base import AUTO, BASES

Command = TypeVar("Command", bound=Callable[..., Any])

_AUTO_HELP = " auto: Ubuntu, or Debian where Ubuntu cannot be reached."
_UNITS = {"M": 1 << 20, "G": 1 << 30}


class Size(click.ParamType[int]):
    """A size such as 512M or 20G, in bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([1-9][0-9]*)([MG])", str(value))
        if not match:
            self.fail(f"{value!r} is not a size; write for example 512M or 20G", param, ctx)
        return int(match[1]) * _UNITS[match[2]]


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")

mirror_option = click.option(
    "--mirror", metavar="URL", help="Take the base's packages from this archive."
)


def base_option(default: str) -> Callable[[Command], Command]:
    """--base; where `auto` is the default it can be chosen, too."""
    return click.option(
        "--base",
        type=click.Choice([*([AUTO] if default == AUTO else []), *BASES]),
        default=default,
        show_default=True,
        help="The distribution to build on." + (_AUTO_HELP if default == AUTO else ""),
    )
