"""The door before the menu on a console: the administrator's password."""

from __future__ import annotations

import math
from pathlib import Path

from firstboot.menu.menu import IDLE_SECONDS
from firstboot.system.administrator import check_password
from firstboot.system.keyboard import GONE, IDLE, Terminal

# Then the console goes back to where it was; the count goes on.
TRIES = 3
_PROMPT = "Administrator's password (Enter alone goes back): "
_NONE_SET = """\
This machine has no administrator's password, so its menu is closed on the console.

To set one, log in by SSH, if that is switched on, and choose "Administrator's
password"; or run, where commands can be run: mailstead admin password
"""


def enter(terminal: Terminal, hostname: str, phc: str | None, tries_file: Path) -> bool:
    """Whether somebody at this terminal knows the password; `phc` is its hash, if one is set."""
    terminal.clear()
    terminal.write(f"Mailstead  {hostname}\n\n")
    if phc is None:
        terminal.write(f"{_NONE_SET}\nPress {'Enter' if terminal.plain else 'a key'} to go on. ")
        terminal.key(IDLE_SECONDS)
        return False
    for _ in range(TRIES):
        typed = terminal.line(IDLE_SECONDS, prompt=_PROMPT, hidden=True)
        terminal.write("\n")
        if typed in {"", GONE, IDLE}:
            return False
        verdict = check_password(typed, phc, tries_file)
        if verdict.right:
            return True
        terminal.write(_refusal(verdict.wait))
    return False


def _refusal(wait: float) -> str:
    if wait <= 0:
        return "That is not the password.\n"
    return f"No. After wrong passwords, the next one counts in {math.ceil(wait)} s.\n"
