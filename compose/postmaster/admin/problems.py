"""What a page says and answers when the directory, or the machine, did not do something."""

from __future__ import annotations

from postmaster.admin.directory import Problem
from postmaster.admin.machine_link import MachineError


def key_of(problem: Problem, wrong: str) -> str:
    """Return the key of the text; `wrong` is the one for a wrong password or code."""
    return {
        Problem.WRONG: wrong,
        Problem.LIMITED: "common.limited",
        Problem.REFUSED: "common.refused",
    }.get(problem, "common.away")


def machine_problem(error: MachineError) -> tuple[str, int]:
    """Return key and status when the machine, asked with a password, did not do something."""
    return {
        "denied": ("common.wrong-password", 422),
        "busy": ("common.limited", 429),
    }.get(error.kind, ("common.away", 503))


def status_of(problem: Problem) -> int:
    """Return the status in HTTP."""
    return {
        Problem.WRONG: 422,
        Problem.LIMITED: 429,
        Problem.REFUSED: 422,
    }.get(problem, 503)
