"""When something needs root: do it as root, ask a person, or say what to run. Never guess."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence

from firstboot.base.errors import CommandError
from firstboot.base.run import Completed, run
from tools.host.errors import PrivilegeError


def run_as_root(commands: Sequence[Sequence[str]], reason: str) -> Completed:
    """Run `commands` one after the other as root; the result of the last.

    Root just does it. Anybody else at a terminal is asked once and needs sudo. Without a terminal
    PrivilegeError holds the commands to run. A command that fails raises CommandError.
    """
    prefix: list[str] = []
    if os.geteuid() != 0:
        _ask(commands, reason)
        # The password is asked for here, since a command with captured output cannot ask.
        if run(["sudo", "-v"], capture=False, check=False).returncode != 0:
            raise PrivilegeError(
                f"{reason}, and sudo refuses", "Let an administrator run it:\n  " + _shown(commands)
            )
        prefix = ["sudo", "-n"]
    result: Completed | None = None
    for command in commands:
        result = run([*prefix, *command])
    if result is None:
        raise CommandError("nothing to run as root")
    return result


def _ask(commands: Sequence[Sequence[str]], reason: str) -> None:
    has_sudo = shutil.which("sudo") is not None
    shown = _shown(commands, *(["sudo"] if has_sudo else []))
    hint = f"Run this and start again:\n  {shown}" if has_sudo else f"Run as root:\n  {shown}"
    if not has_sudo or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise PrivilegeError(f"{reason}, and that needs root", hint)
    print(f"{reason}. That needs root:\n  {shown}\nRun it now? [Y/n] ", end="", file=sys.stderr)
    sys.stderr.flush()
    # At the end of input readline() gives "", which is no answer; Enter alone gives a newline.
    if sys.stdin.readline().lower() not in {"\n", "y\n", "yes\n"}:
        raise PrivilegeError(f"{reason}, and the answer was no", hint)


def _shown(commands: Sequence[Sequence[str]], *prefix: str) -> str:
    return " && ".join(shlex.join([*prefix, *command]) for command in commands)
