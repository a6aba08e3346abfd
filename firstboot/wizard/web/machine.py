"""The web wizard on the machine itself.

What it is made of is imported only on a machine that waits for settings: others have no use for it.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable

from firstboot.base.errors import CommandError
from firstboot.base.paths import Paths
from firstboot.base.questions.model import Facts
from firstboot.base.run import run
from firstboot.wizard.web.progress import await_questions

RECORDS_SECONDS = 60.0


def serve_setup(paths: Paths, facts: Callable[[], Facts]) -> None:
    """Serve the questions until the machine is set up, or SIGTERM comes. Raises ListenError.

    A machine that gets its settings in another way never opens a port.
    """
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    if not await_questions(paths, ended):
        return
    from firstboot.system.addresses import reachable_addresses
    from firstboot.wizard.web.service import Service, Surroundings

    surroundings = Surroundings(
        paths,
        facts(),
        addresses=reachable_addresses,
        records=_records,
        kept_open=lambda _port: contextlib.nullcontext(),
    )
    Service(surroundings, ended).run()


def _records() -> str:
    """The DNS records, as the command of another feature shows them."""
    try:
        return run(["mailstead", "dns", "show"], timeout=RECORDS_SECONDS).stdout
    except CommandError:
        return ""
