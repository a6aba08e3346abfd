"""The wizard on the terminal of this process, in the best form that the terminal can show."""

from __future__ import annotations

import os
import sys
import termios

from firstboot.base.paths import Paths
from firstboot.base.questions.model import Facts
from firstboot.wizard.flow import Flow
from firstboot.wizard.terminal.page import Front
from firstboot.wizard.terminal.plain import PlainFront
from firstboot.wizard.terminal.screen import ScreenFront, TooSmallError
from firstboot.wizard.terminal.wizard import Wizard
from firstboot.wizard.trial import try_network

PLAIN_TERMS = {"", "dumb", "unknown"}
# A terminal that does not say how large it is, as a serial line, is taken to be of this size.
SIZE = (24, 80)


def run_wizard(paths: Paths, facts: Facts) -> bool:
    """Ask until settings are handed over (True), or somebody leaves or was faster elsewhere."""

    def is_overtaken() -> bool:
        return paths.settings.exists()

    def ask_on(front: Front) -> bool:
        return Wizard(paths, facts, front, lambda flow: _try(flow, paths)).run()

    plain = PlainFront(sys.stdin, sys.stdout, is_overtaken=is_overtaken)
    term = os.environ.get("TERM", "")
    if term in PLAIN_TERMS or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return ask_on(plain)
    _give_size()
    try:
        with ScreenFront(
            sys.stdin, sys.stdout, colour=term == "linux", is_overtaken=is_overtaken
        ) as screen:
            return ask_on(screen)
    except TooSmallError:
        return ask_on(plain)


def _try(flow: Flow, paths: Paths) -> str:
    return try_network(flow.settings_network(), paths)


def _give_size() -> None:
    if 0 in termios.tcgetwinsize(sys.stdin):
        termios.tcsetwinsize(sys.stdin, SIZE)
