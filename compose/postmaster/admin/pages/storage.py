"""How much space one's own mail takes, and everything that one has here as one file.

What is in the vault shows only once its person's password has opened it (`postmaster.export`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response, StreamingResponse

from postmaster.admin.machine_link import MachineError
from postmaster.admin.page import Page
from postmaster.admin.problems import machine_problem
from postmaster.admin.rendering import finished
from postmaster.admin.sizes import size_of
from postmaster.admin.visit import Visit
from postmaster.export.link import ExportError
from postmaster.export.protocol import Problem

PATH = "/storage"


async def show(visit: Visit) -> Response:
    """The form: without the password nothing can be counted."""
    return _page(visit)


async def count(visit: Visit) -> Response:
    """How much there is, by folder."""
    try:
        found = await visit.site.vaults.count(await _pass(visit, "count"))
    except (MachineError, ExportError) as error:
        return _refused(visit, error)
    folders = [
        {"name": _folder(visit, each["name"]), "count": each["messages"], "bytes": each["bytes"]}
        for each in found["folders"]
    ]
    folders.sort(key=lambda folder: -folder["bytes"])
    used, limit = int(found["bytes"]), found["limit"]
    counted = {
        "used": size_of(used),
        "messages": found["messages"],
        "percent": None if not limit else round(100 * used / limit),
        "folders": [_sized(folder) for folder in folders],
        "collections": [_sized(collection) for collection in found["collections"]],
    }
    return _page(visit, counted=counted)


async def export(visit: Visit) -> Response:
    """All of it, as it is read: of it nothing is kept here, nor in the proxy."""
    try:
        texts = {
            "README.txt": visit.text("storage.readme", address=visit.me.address),
            "settings.json": json.dumps(await _settings(visit), indent=2, ensure_ascii=False),
        }
        pieces = await visit.site.vaults.export(await _pass(visit, "export"), texts)
    except (MachineError, ExportError) as error:
        return _refused(visit, error)
    day = time.strftime("%Y-%m-%d", time.gmtime())
    headers = {
        "Content-Disposition": f'attachment; filename="mailstead-{day}.zip"',
        "X-Accel-Buffering": "no",  # nginx would put it into a file
    }
    return finished(StreamingResponse(pieces, media_type="application/zip", headers=headers))


async def _pass(visit: Visit, purpose: str) -> str:
    """What the mail store opens the vault for. The machine has the directory make it."""
    secret = visit.form["password"]
    if not secret:
        raise MachineError("denied")
    asked = {"from": visit.client, "purpose": purpose}
    person = visit.me.address
    made = await visit.site.link.ask("own.open", address=person, password=secret, **asked)
    return str(made["pass"])


async def _settings(visit: Visit) -> dict[str, Any]:
    """What is set for somebody, without what is secret."""
    me, directory = visit.me, visit.site.directory
    return {
        "version": 1,
        "made": _date(time.time()),
        "address": me.address,
        "aliases": me.aliases,
        "forward_to": me.forward_to,
        "quota": me.quota,
        "recovery_code": me.recovery_code,
        "second_factor": me.second_factor,
        "app_passwords": [
            {
                "label": app.label,
                "scopes": app.scopes,
                "created": _date(app.created),
                "last_use": _date(app.last_use),
            }
            for app in await directory.apps(me.address)
        ],
        "passkeys": [
            {"label": key.label, "created": _date(key.created), "last_use": _date(key.last_use)}
            for key in await directory.passkeys(me.address)
        ],
    }


def _date(seconds: float | None) -> str | None:
    """RFC 3339."""
    return None if seconds is None else datetime.fromtimestamp(int(seconds), UTC).isoformat()


def _folder(visit: Visit, name: str) -> str:
    return visit.text("storage.inbox") if name == "INBOX" else name


def _sized(counted: Mapping[str, Any]) -> dict[str, Any]:
    return {**counted, "size": size_of(int(counted["bytes"]))}


def _refused(visit: Visit, error: MachineError | ExportError) -> Response:
    if isinstance(error, ExportError):
        busy = error.problem is Problem.BUSY
        key, status = ("storage.busy", 429) if busy else ("common.away", 503)
    else:
        key, status = machine_problem(error)
    return _page(visit, status=status, problem=key)


def _page(
    visit: Visit, *, status: int = 200, problem: str = "", counted: Mapping[str, Any] | None = None
) -> Response:
    quota = visit.me.quota
    return visit.page(
        "storage",
        status=status,
        quota="" if quota is None else size_of(quota),
        problem=problem,
        counted=counted,
    )


PAGES = (
    Page(PATH, show, count, menu="storage.menu"),
    Page(f"{PATH}/export", take=export),
)
