"""The pages after the questions: how far the machine is, and what is left to do for its owner."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from firstboot.base.errors import MailsteadError
from firstboot.base.handover import take_back
from firstboot.base.paths import Paths
from firstboot.base.services import read_stack
from firstboot.base.settings import read_settings
from firstboot.wizard.web.pages import render
from firstboot.wizard.web.progress import SET_UP, read_lines
from firstboot.wizard.web.visit import Visit

REFRESH_SECONDS = 5
# How long the last page stays after it was first shown.
LAST_PAGE_SECONDS = 900.0

_PURPOSES = {
    "imaps": "Receiving (IMAP)",
    "pop3s": "Receiving (POP3)",
    "submissions": "Sending (SMTP)",
    "submission": "Sending (SMTP), for older programs",
    "https": "Calendars and contacts (CalDAV, CardDAV)",
}
_SECURITY = {"implicit": "TLS", "starttls": "STARTTLS", "none": "none"}


@dataclass(frozen=True)
class Access:
    """A line of what a mail program wants to know."""

    purpose: str
    port: int
    security: str


async def show_progress(visit: Visit) -> Response:
    wizard = visit.wizard
    if not wizard.is_handed_over:
        return RedirectResponse("/", 303)
    progress, refused = wizard.progress, wizard.refused
    if progress.ready and wizard.paths.settings.exists():
        return await _show_ready(visit)
    return render(
        "progress",
        stages=progress.stages,
        done=progress.done,
        errors="\n".join(progress.errors),
        refused=refused,
        asks_passphrase=not refused and _asks_passphrase(wizard.paths),
        seconds=REFRESH_SECONDS,
        form=visit.form_token("/reopen"),
    )


async def take_reopen(visit: Visit) -> Response:
    """Back to the questions, when the machine could not use the answers."""
    if visit.wizard.refused:
        take_back(visit.wizard.paths)
    return RedirectResponse("/", 303)


async def _show_ready(visit: Visit) -> Response:
    wizard = visit.wizard
    wizard.note_shown()
    records = await run_in_threadpool(wizard.records)
    try:
        settings = read_settings(wizard.paths.settings)
        access = _access(visit)
    except MailsteadError:
        settings, access = None, ()
    return render(
        "ready",
        hostname=settings.hostname if settings else "The machine",
        address=settings.people[0].address if settings and settings.people else "",
        access=access,
        records=records,
        minutes=int(LAST_PAGE_SECONDS // 60),
        kit_offered=wizard.offers_kit,
        kit_kept=wizard.kit_kept,
    )


def _asks_passphrase(paths: Paths) -> bool:
    """Whether `mailstead boot` waits for somebody at the console."""
    lines = read_lines(paths)
    if lines[-1:] != (SET_UP,):
        return False
    try:
        settings = read_settings(paths.settings)
    except MailsteadError:
        return False
    return settings is not None and settings.disk.protection == "passphrase"


def _access(visit: Visit) -> tuple[Access, ...]:
    ports = {port.name: port for port in read_stack(visit.wizard.paths.services).ports}
    return tuple(
        Access(purpose, ports[name].published, _SECURITY[ports[name].tls])
        for name, purpose in _PURPOSES.items()
        if name in ports
    )
