"""The web wizard on the machine itself.

What it is made of is imported only on a machine that waits for settings: others have no use for it.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

from firstboot.base.firewall import HTTPS
from firstboot.base.paths import Paths
from firstboot.base.questions.model import Facts
from firstboot.wizard.web.progress import await_questions

# It ends by itself long before that; the kernel gives the port back should it not be able to.
KEPT_OPEN_SECONDS = 4 * 3600


def serve_setup(paths: Paths, facts: Callable[[], Facts]) -> None:
    """Serve the questions until the machine is set up, or SIGTERM comes. Raises ListenError.

    A machine that gets its settings in another way never opens a port.
    """
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    if not await_questions(paths, ended):
        return
    from firstboot.system.addresses import reachable_addresses
    from firstboot.system.nftables import diverted
    from firstboot.wizard.web.kit import CommandDesk
    from firstboot.wizard.web.records import find_records
    from firstboot.wizard.web.service import Service, Surroundings

    surroundings = Surroundings(
        paths,
        facts(),
        addresses=reachable_addresses,
        records=find_records,
        kit_desk=CommandDesk(paths.invitation.parent),
        kept_open=lambda port: diverted(HTTPS, port, KEPT_OPEN_SECONDS),
    )
    Service(surroundings, ended).run()
