"""The page of the recovery kit: shown and given out until a part of it was typed back, then never.

It is there with the last page, on a machine that has a place for backups.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from firstboot.wizard.web.kit import Kit
from firstboot.wizard.web.pages import render
from firstboot.wizard.web.visit import Visit

STEM = "mailstead-recovery-kit"
WRONG = "That is not the group asked for. Look at the page that you have kept."


async def show_kit(visit: Visit) -> Response:
    if not visit.wizard.offers_kit:
        return RedirectResponse("/progress", 303)
    return await _page(visit)


async def give_text(visit: Visit) -> Response:
    kit = await _kit(visit)
    if kit is None:
        return RedirectResponse("/kit", 303)
    return _download(kit.text.encode(), "text/plain; charset=utf-8", f"{STEM}.txt")


async def give_pdf(visit: Visit) -> Response:
    kit = await _kit(visit)
    if kit is None:
        return RedirectResponse("/kit", 303)
    return _download(kit.pdf, "application/pdf", f"{STEM}.pdf")


async def take_group(visit: Visit) -> Response:
    """What was typed back."""
    wizard, given = visit.wizard, visit.form.get("group", "")
    if not wizard.offers_kit:
        return RedirectResponse("/progress", 303)
    if wizard.kit_kept:
        return RedirectResponse("/kit", 303)
    if await run_in_threadpool(wizard.confirm_kit, given):
        return RedirectResponse("/kit", 303)
    return await _page(visit, status=422, problem=WRONG)


async def _page(visit: Visit, *, status: int = 200, problem: str = "") -> Response:
    kit = await _kit(visit)
    return render(
        "kit",
        status=status,
        kit=kit,
        kept=visit.wizard.kit_kept,
        problem=problem,
        form=visit.form_token("/kit"),
    )


async def _kit(visit: Visit) -> Kit | None:
    if not visit.wizard.offers_kit:
        return None
    return await run_in_threadpool(visit.wizard.fetch_kit)


def _download(content: bytes, kind: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=kind, headers=headers)
