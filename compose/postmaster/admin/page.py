"""What a page is: an address, and what answers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from starlette.responses import Response

from postmaster.admin.visit import Visit

Answer: TypeAlias = "Callable[[Visit], Awaitable[Response]]"


@dataclass(frozen=True)
class Page:
    """One address of the site.

    `show` answers GET, `take` a form, whose token has been looked at before. Unless `public`, only
    who is logged in gets there; with `administrator`, only who runs the machine.
    `menu` is the key of its name in the menu, "" to be in none.
    """

    path: str
    show: Answer | None = None
    take: Answer | None = None
    public: bool = False
    administrator: bool = False
    menu: str = ""
