"""What people, programs and the journal see of an error, and of a result as JSON."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from firstboot.base.errors import MailsteadError, SettingsError
from firstboot.base.paths import Paths

JOURNAL = "/dev/log"
LOG_HINT = "The log has the details: journalctl --identifier=mailstead"

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def dump(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def report_error(error: MailsteadError, *, as_json: bool) -> None:
    """On standard error for people; with --json as the one object on standard output."""
    if as_json:
        problem: dict[str, Any] = {"error": error.message, "hint": error.hint}
        if isinstance(error, SettingsError):
            problem["problems"] = list(error.problems)
        click.echo(dump({"ok": False, **problem}))
        return
    click.echo(f"mailstead: error: {error}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)


def unexpected(error: Exception) -> MailsteadError:
    """What people see of a defect of ours; its traceback goes to the journal."""
    # Seldom needed, and not cheap.
    import logging.handlers  # noqa: PLC0415

    log = logging.getLogger("mailstead")
    log.propagate = False
    if not log.handlers:
        with contextlib.suppress(OSError):
            handler = logging.handlers.SysLogHandler(JOURNAL)
            handler.ident = "mailstead: "
            log.addHandler(handler)
        log.addHandler(logging.NullHandler())
    log.error("unexpected error", exc_info=error)
    return MailsteadError(f"unexpected {type(error).__name__}: {error}", LOG_HINT)


@contextlib.contextmanager
def on_console(show: Callable[[MailsteadError], None]) -> Iterator[None]:
    """Put what stops a machine from starting where its owner sees it, too.

    It also stays as the reason of this start's failure, for when another version has come back.
    """
    from firstboot.update.settle import note_failure  # noqa: PLC0415

    try:
        yield
    except Exception as error:
        known = error if isinstance(error, MailsteadError) else unexpected(error)
        show(known)
        with contextlib.suppress(OSError, MailsteadError):
            note_failure(Paths(), str(known))
        raise SystemExit(known.exit_code) from None
