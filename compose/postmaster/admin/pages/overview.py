"""The first page: who one is here, and how mail programs are set up."""

from __future__ import annotations

from starlette.responses import Response

from postmaster.admin.page import Page
from postmaster.admin.sizes import size_of
from postmaster.admin.visit import Visit


async def show(visit: Visit) -> Response:
    """The page."""
    quota = visit.me.quota
    return visit.page("overview", quota="" if quota is None else size_of(quota))


PAGES = (Page("/", show, menu="overview.menu"),)
