"""Which browsers are logged in, and their end."""

from __future__ import annotations

from starlette.responses import Response

from postmaster.admin.page import Page
from postmaster.admin.sizes import ago
from postmaster.admin.visit import Visit


async def show(visit: Visit) -> Response:
    """The list, the one that was used last first."""
    now = visit.site.sessions.clock()
    rows = [
        {
            "id": session.id,
            "browser": session.browser or visit.text("sessions.unknown"),
            "address": session.address,
            "began": ago(visit.text, now - session.began),
            "used": ago(visit.text, now - session.used),
            "mine": session is visit.session,
        }
        for session in visit.site.sessions.of(visit.me.address)
    ]
    return visit.page("sessions", rows=rows)


async def end(visit: Visit) -> Response:
    """End one of them, this one or another."""
    if visit.form["id"] == visit.my_session.id:
        return visit.go("/sessions", "sessions.own")
    visit.site.sessions.end(visit.me.address, visit.form["id"])
    return visit.go("/sessions", "sessions.ended")


async def end_others(visit: Visit) -> Response:
    """End all but this one."""
    visit.site.sessions.end_others(visit.my_session)
    return visit.go("/sessions", "sessions.ended-others")


PAGES = (
    Page("/sessions", show, menu="sessions.menu"),
    Page("/sessions/end", take=end),
    Page("/sessions/end-others", take=end_others),
)
