"""A program for tests: the wizard on its terminal, for a machine below the folder that is named.

`ask.py FOLDER screen|plain [PROBLEM]`: PROBLEM is what is wrong with any network. Its exit code is
0 when settings were handed over, 9 otherwise.
"""

from __future__ import annotations

import sys
from pathlib import Path

from firstboot.base.paths import Paths
from firstboot.base.questions.model import Facts
from firstboot.wizard.flow import Flow
from firstboot.wizard.terminal.page import Front
from firstboot.wizard.terminal.plain import PlainFront
from firstboot.wizard.terminal.screen import ScreenFront
from firstboot.wizard.terminal.wizard import Wizard


def main(folder: str, kind: str, problem: str = "") -> int:
    paths = Paths.below(Path(folder))
    facts = Facts(protections=("passphrase", "key-file"))

    def try_network(_flow: Flow) -> str:
        return problem

    def is_overtaken() -> bool:
        return paths.settings.exists()

    def run(front: Front) -> bool:
        return Wizard(paths, facts, front, try_network).run()

    if kind == "plain":
        done = run(PlainFront(sys.stdin, sys.stdout, is_overtaken=is_overtaken))
    else:
        with ScreenFront(sys.stdin, sys.stdout, is_overtaken=is_overtaken) as screen:
            done = run(screen)
    print("handed over" if done else "left")
    return 0 if done else 9


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
