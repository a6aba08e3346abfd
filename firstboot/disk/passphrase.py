"""Asks the owner on the consoles for the passphrase that is to protect the disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from firstboot.base.errors import MachineError
from firstboot.system.terminals import Terminals, open_terminals

LEAST = 12
# What the console asks for at each start takes no more.
MOST = 512
POLL_SECONDS = 60.0

_INTRODUCTION = f"""
CHOOSE A PASSPHRASE FOR THIS DISK

You will type it here whenever this machine starts; without it, or the recovery
key, nobody can read the mail, and neither can you. Take at least {LEAST}
characters: five or six words that have nothing to do with each other are good.
What you type is not shown.

"""


def passphrase_problem(text: str) -> str | None:
    """What is wrong with a passphrase, or None.

    Only what every keyboard has: the console may have another layout, or be a serial line.
    """
    if len(text) < LEAST:
        return f"That is too short: at least {LEAST} characters."
    if len(text) > MOST:
        return f"That is too long: at most {MOST} characters."
    if not (text.isascii() and text.isprintable()):
        return "Take letters without accents, digits, spaces and the common signs only."
    if text != text.strip():
        return "It must not begin or end with a space."
    return None


def ask_passphrase(devices: Iterable[Path]) -> str:
    """Ask until the same good passphrase was typed twice; MachineError without any console."""
    with open_terminals(devices, echo=False) as terminals:
        terminals.write(_INTRODUCTION)
        while True:
            first = _ask(terminals, "Passphrase: ")
            if wrong := passphrase_problem(first):
                terminals.write(f"{wrong}\n")
            elif _ask(terminals, "The same once more: ") != first:
                terminals.write("The two are not the same. Once again from the start.\n")
            else:
                terminals.write("The passphrase is being set.\n")
                return first


def _ask(terminals: Terminals, prompt: str) -> str:
    terminals.write(prompt)
    while terminals.descriptors:
        line = terminals.read_line(POLL_SECONDS)
        if line is not None:
            return line
    raise MachineError(
        "there is no console to type a passphrase on",
        "Give the machine a screen and keyboard or a serial line, or choose another protection.",
    )
