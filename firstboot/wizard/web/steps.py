"""The pages of the questions: one a step, and the summary of them all."""

from __future__ import annotations

import ipaddress
import itertools
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from firstboot.base.errors import SettingsError
from firstboot.base.questions.model import Step
from firstboot.wizard.draft import StaleDraftError
from firstboot.wizard.flow import Flow, Outcome, Row
from firstboot.wizard.web.fields import make_fields
from firstboot.wizard.web.pages import render
from firstboot.wizard.web.visit import Visit

CHANGED = (
    "The answers were changed elsewhere meanwhile, in another browser or at the console. These are "
    "the present ones; what you sent last was not taken."
)
MORE = "Because of this answer there is a little more to ask."


@dataclass(frozen=True)
class Group:
    """The rows of one step in the summary."""

    step: Step
    rows: tuple[Row, ...]
    can_change: bool


def there(step: Step | None) -> str:
    """The address of a step; None is the summary."""
    return f"/step/{step.name}" if step else "/summary"


async def show_start(visit: Visit) -> Response:
    flow = visit.wizard.flow
    return render(
        "start",
        steps=flow.steps,
        next=there(flow.present),
        begun=bool(flow.draft.done),
        source=flow.draft.given.source,
        notice=visit.take_notice(),
    )


async def show_step(visit: Visit) -> Response:
    flow = visit.wizard.flow
    step = _step(flow, visit)
    if step is None:
        return RedirectResponse(there(flow.present), 303)
    return _step_page(visit, flow, step)


async def take_step(visit: Visit) -> Response:
    """Take the answers to a step; hashing a password in a thread keeps others from waiting."""
    wizard, form = visit.wizard, visit.form
    step = _step(wizard.flow, visit)
    if step is None:
        return RedirectResponse("/", 303)
    try:
        outcome = await run_in_threadpool(
            wizard.answer, step.name, form, form.get("revision", ""), visit.session
        )
    except StaleDraftError:
        return _step_page(visit, wizard.flow, step, notice=CHANGED, status=409)
    titles = {question.key: question.title for question in step.questions}
    notes = {titles[key]: note for key, note in outcome.notes.items()}
    if outcome.is_done:
        visit.session.notes = notes
        return RedirectResponse(there(_following(outcome.flow, step)), 303)
    wrong = bool(outcome.problems or outcome.doubts)
    notice = "" if wrong else MORE
    status = 422 if wrong else 200
    return _step_page(visit, outcome.flow, step, outcome, notice=notice, status=status)


async def show_summary(visit: Visit) -> Response:
    flow = visit.wizard.flow
    if flow.present is not None:
        return RedirectResponse(there(flow.present), 303)
    return _summary_page(visit, flow)


async def take_summary(visit: Visit) -> Response:
    """Hand the settings to the machine."""
    wizard = visit.wizard
    if wizard.flow.present is not None:
        return RedirectResponse(there(wizard.flow.present), 303)
    try:
        revision = visit.form.get("revision", "")
        await run_in_threadpool(wizard.hand_over, revision, visit.session)
    except StaleDraftError:
        return _summary_page(visit, wizard.flow, notice=CHANGED, status=409)
    except SettingsError as error:
        return _summary_page(visit, wizard.flow, problem=error.message, status=422)
    return RedirectResponse("/progress", 303)


def _step(flow: Flow, visit: Visit) -> Step | None:
    name = visit.request.path_params["name"]
    return next((step for step in flow.steps if step.name == name), None)


def _following(flow: Flow, step: Step) -> Step | None:
    """The step after one; who has been through all of them already goes back to the summary."""
    return flow.after(step) if flow.present is not None else None


def _step_page(
    visit: Visit,
    flow: Flow,
    step: Step,
    outcome: Outcome | None = None,
    *,
    notice: str = "",
    status: int = 200,
) -> Response:
    fields = make_fields(flow, step.asked(flow.context), visit.form, outcome)
    names = [each.name for each in flow.steps]
    before = flow.before(step)
    path = there(step)
    return render(
        "step",
        status=status,
        step=step,
        number=names.index(step.name) + 1 if step.name in names else len(names),
        total=len(names) + 1,
        shown=fields,
        problems=[field for field in fields if field.problem],
        notice=notice or visit.take_notice(),
        notes=visit.take_notes(),
        back=there(before) if before else "/start",
        form=visit.form_token(path),
        revision=flow.draft.revision,
    )


def _summary_page(
    visit: Visit, flow: Flow, *, notice: str = "", problem: str = "", status: int = 200
) -> Response:
    open_steps = {step.name for step in flow.steps}
    groups = [
        Group(step, tuple(rows), step.name in open_steps)
        for step, rows in itertools.groupby(flow.summary(), key=lambda row: row.step)
    ]
    return render(
        "summary",
        status=status,
        groups=groups,
        source=flow.draft.given.source,
        total=len(flow.steps) + 1,
        new_addresses=_new_addresses(flow),
        notice=notice or visit.take_notice(),
        notes=visit.take_notes(),
        problem=problem,
        back=there(flow.before(None)) if flow.before(None) else "/start",
        form=visit.form_token("/summary"),
        revision=flow.draft.revision,
    )


def _new_addresses(flow: Flow) -> tuple[str, ...]:
    """Where the wizard is found once the machine has the addresses that were typed."""
    if flow.context.text("network.method") != "static":
        return ()
    typed = (ipaddress.ip_interface(text).ip for text in flow.context.texts("network.addresses"))
    return tuple(f"https://{f'[{ip}]' if ip.version == 6 else ip}/" for ip in typed)
