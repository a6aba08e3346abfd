"""A program for tests: the console on its terminal, with a machine that is a folder.

`attend.py FOLDER`: the questions are answered by themselves, and the menu says that it is one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from firstboot.base.handover import hand_over, take_back
from firstboot.base.paths import Paths
from firstboot.console.screens import status_lines
from firstboot.console.session import Offers, Session
from firstboot.system.keyboard import this_terminal
from firstboot.system.seats import SEATS, Seat
from tests.unit.firstboot.samples import SETTINGS

# What its checks say, if not only that all is well.
CHECKS = "checks.txt"
STATUS = {
    "hostname": "mail.example.com",
    "version": "1.2.3",
    "base": "ubuntu",
    "uptime": 7260.0,
    "containers": [
        {"name": "redis", "status": "running", "health": "healthy"},
        {"name": "mta", "status": "exited", "health": "unhealthy"},
    ],
    "ports": [{"port": 993, "name": "imaps", "listening": False}],
    "memory": {"total": 1 << 30, "used": 1 << 29},
    "disk": {"total": 20 << 30, "used": 1 << 30},
    "problems": ["something"],
}


def main(folder: str) -> None:
    paths = Paths.below(Path(folder))
    checks = Path(folder) / CHECKS

    def set_up() -> bool:
        hand_over(paths, SETTINGS)
        return True

    def restore() -> bool:
        if not paths.restore_plan.exists():
            show("there is no repository at that place\n")
        return paths.restore_plan.exists()

    def look(line: Callable[[str], None]) -> None:
        for text in checks.read_text().splitlines() if checks.exists() else ("pass  memory",):
            line(text)

    def show(text: str) -> None:
        os.write(1, text.encode())

    def run_menu() -> None:
        show("\n== the menu ==\n")
        this_terminal().key(20)

    def keep_kit() -> None:
        show("\n== the kit ==\n")
        paths.backup.mkdir()

    offers = Offers(
        is_set_up=paths.settings.exists,
        set_up=set_up,
        take_back=lambda: take_back(paths),
        restore=restore,
        look=look,
        invitation=lambda: ("Pairing code:  1234 5678",),
        new_code=lambda: show("\na new code was asked for\n"),
        status=lambda: status_lines(STATUS),
        menu=run_menu,
        wants_kit=lambda: "targets" in paths.settings.read_text() and not paths.backup.exists(),
        kit=keep_kit,
    )
    seat = Seat(Path(os.ttyname(0)), paths.runtime / SEATS)
    Session(this_terminal(), seat, offers, paths.progress).attend()


if __name__ == "__main__":
    main(sys.argv[1])
