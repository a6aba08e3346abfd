"""The second step of signing in, for who has a second factor: a code, or the way out without it."""

from __future__ import annotations

from starlette.responses import Response

from postmaster.admin.directory import PersonState, Problem, ProblemError
from postmaster.admin.page import Page
from postmaster.admin.pages.sign_in import SECOND_STEP, enter
from postmaster.admin.problems import key_of, status_of
from postmaster.admin.visit import HALFWAY_COOKIE, Visit, remove_cookie

LOST = f"{SECOND_STEP}/lost"


async def show(visit: Visit) -> Response:
    """The form for a code."""
    state = await _halfway(visit)
    return visit.go("/sign-in") if state is None else visit.page("second_step", problem="")


async def take(visit: Visit) -> Response:
    """Log in by a code of the authenticator app."""
    state = await _halfway(visit)
    if state is None:
        return visit.go("/sign-in")
    code = visit.form["code"].strip()
    try:
        if not code:
            raise ProblemError(Problem.WRONG)
        await visit.site.directory.check_totp(state.address, code, visit.client)
    except ProblemError as error:
        key = key_of(error.problem, "second-step.wrong")
        return visit.page("second_step", status=status_of(error.problem), problem=key)
    return _enter(visit, state)


async def show_lost(visit: Visit) -> Response:
    """The form for the recovery code."""
    state = await _halfway(visit)
    return visit.go("/sign-in") if state is None else visit.page("second_step_lost", problem="")


async def take_lost(visit: Visit) -> Response:
    """Log in by the recovery code, which removes what is lost."""
    state = await _halfway(visit)
    if state is None:
        return visit.go("/sign-in")
    code = visit.form["code"].strip()
    try:
        if not code:
            raise ProblemError(Problem.WRONG)
        await visit.site.directory.drop_factors(state.address, code, visit.client)
    except ProblemError as error:
        key = key_of(error.problem, "second-step.lost-wrong")
        return visit.page("second_step_lost", status=status_of(error.problem), problem=key)
    return _enter(visit, state, "/second-factor", "second-step.lost-done")


async def _halfway(visit: Visit) -> PersonState | None:
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
    return state if state.stamp == begun.stamp else None


def _enter(visit: Visit, state: PersonState, path: str = "/", notice: str = "") -> Response:
    begun = visit.site.halfway.find(visit.request.cookies.get(HALFWAY_COOKIE, ""))
    if begun is None:
        return visit.go("/sign-in")  # another window of this browser was faster
    visit.site.halfway.end(begun.person, begun.id)
    response = enter(visit, state, path, notice)
    remove_cookie(response, HALFWAY_COOKIE)
    return response


PAGES = (
    Page(SECOND_STEP, show, take, public=True),
    Page(LOST, show_lost, take_lost, public=True),
)
