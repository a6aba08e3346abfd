"""The second step of signing in, for who has a second factor; and the way in without it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from postmaster.admin.directory import PersonState, Problem, ProblemError
from postmaster.admin.page import Page
from postmaster.admin.pages.sign_in import SECOND_STEP, enter
from postmaster.admin.problems import key_of, status_of
from postmaster.admin.sessions import Session
from postmaster.admin.visit import HALFWAY_COOKIE, Visit, remove_cookie

LOST = f"{SECOND_STEP}/lost"


@dataclass(frozen=True)
class _Halfway:
    """Somebody who has shown the password in this browser."""

    begun: Session
    state: PersonState


async def show(visit: Visit) -> Response:
    """The forms: for a passkey, for a code, as one has them."""
    halfway = await _halfway(visit)
    return visit.go("/sign-in") if halfway is None else await _form(visit, halfway)


async def take(visit: Visit) -> Response:
    """Log in by a passkey, or a code of the authenticator app."""
    halfway = await _halfway(visit)
    if halfway is None:
        return visit.go("/sign-in")
    begun, person = halfway.begun, halfway.state.address
    code, answer = visit.form["code"].strip(), visit.form["answer"]
    asked, begun.asked = begun.asked, ""
    wrong = "second-step.wrong" if code else "second-step.passkey-wrong"
    try:
        if code:
            await visit.site.directory.check_totp(person, code, visit.client)
        elif answer and asked:
            await visit.site.directory.check_passkey(person, asked, answer, visit.client)
        else:
            raise ProblemError(Problem.WRONG)
    except ProblemError as error:
        key = key_of(error.problem, wrong)
        return await _form(visit, halfway, status_of(error.problem), key)
    return _enter(visit, halfway)


async def _form(visit: Visit, halfway: _Halfway, status: int = 200, problem: str = "") -> Response:
    kinds, question = halfway.state.second_factor, ""
    if "passkey" in kinds:
        asked = await visit.site.directory.ask_passkey(halfway.state.address)
        question, halfway.begun.asked = asked.question, asked.state
    return visit.page(
        "second_step",
        status=status,
        script=bool(question),
        question=question,
        app="totp" in kinds,
        problem=problem,
    )


async def show_lost(visit: Visit) -> Response:
    """The form for the recovery code."""
    halfway = await _halfway(visit)
    return visit.go("/sign-in") if halfway is None else visit.page("second_step_lost", problem="")


async def take_lost(visit: Visit) -> Response:
    """Log in by the recovery code, which removes what is lost."""
    halfway = await _halfway(visit)
    if halfway is None:
        return visit.go("/sign-in")
    code = visit.form["code"].strip()
    try:
        if not code:
            raise ProblemError(Problem.WRONG)
        await visit.site.directory.drop_factors(halfway.state.address, code, visit.client)
    except ProblemError as error:
        key = key_of(error.problem, "second-step.lost-wrong")
        return visit.page("second_step_lost", status=status_of(error.problem), problem=key)
    return _enter(visit, halfway, "/second-factor", "second-step.lost-done")


async def _halfway(visit: Visit) -> _Halfway | None:
    """Return who has shown the password in this browser; it ends with the password, and soon."""
    begun = visit.site.halfway.find(visit.request.cookies.get(HALFWAY_COOKIE, ""))
    if begun is None or visit.session is not None:
        return None
    try:
        state = await visit.site.directory.describe(begun.person)
    except ProblemError as error:
        if error.problem is not Problem.NOBODY:
            raise
        return None
    return _Halfway(begun, state) if state.stamp == begun.stamp else None


def _enter(visit: Visit, halfway: _Halfway, path: str = "/", notice: str = "") -> Response:
    if not visit.site.halfway.end(halfway.begun.person, halfway.begun.id):
        return visit.go("/sign-in")  # another window of this browser was faster
    response = enter(visit, halfway.state, path, notice)
    remove_cookie(response, HALFWAY_COOKIE)
    return response


PAGES = (
    Page(SECOND_STEP, show, take, public=True),
    Page(LOST, show_lost, take_lost, public=True),
)
