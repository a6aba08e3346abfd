"""Who changed what."""

from __future__ import annotations

from starlette.responses import Response

from postmaster.admin.page import Page
from postmaster.admin.visit import Visit

MOST = 200


async def show(visit: Visit) -> Response:
    """The newest first."""
    found = await visit.ask("audit.list", last=MOST)
    return visit.page("audit", entries=list(reversed(found["entries"])), most=MOST)


PAGES = (Page("/admin/audit", show, administrator=True, menu="audit.menu"),)
