"""Waits for what only the owner can give, telling on the console what that is."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable

from firstboot.base.errors import MachineError, MailsteadError
from firstboot.base.handover import read_given, write_given
from firstboot.base.memory import Memory
from firstboot.base.paths import Paths
from firstboot.base.waiting import wait_for
from firstboot.setup.restoring import Restoring
from firstboot.setup.seed import (
    CREDENTIAL,
    FILE,
    Admit,
    BringBack,
    RestoreSeed,
    Search,
    Seed,
    find_seed,
)
from firstboot.system.console import Console
from firstboot.system.networkd import connect_before_setup
from firstboot.system.volumes import LABEL

POLL_SECONDS = 2.0

MIB = 1 << 20
# A machine with 1 GiB shows less: firmware and kernel have taken their part already.
MIN_MEMORY = 900 * MIB

_ASK = "Press Enter on this console to answer the questions of the setup."

_WAYS = f"""\
Or put a file called {FILE} on one of these; it is read within seconds:
  - a USB stick, CD or disk with the volume label {LABEL}
  - the EFI system partition of the disk that this machine boots from
or start the machine with the systemd credential {CREDENTIAL}."""

_EXAMPLE = """\
  version: 1
  hostname: mail.example.com
  domains:
    - name: example.com
  people:
    - address: ada@example.com
      password_hash: (made by: tools/forge hash-password)"""


def require_memory(memory: Memory) -> None:
    """Raise MachineError when the machine has less than 1 GiB of memory."""
    if memory.total < MIN_MEMORY:
        raise MachineError(
            f"this machine has {memory.total // MIB} MiB of memory, Mailstead needs 1 GiB",
            "Give the machine at least 1 GiB of memory (2 GiB are better) and start it again.",
        )


def hold() -> None:
    """Stay here, so that the message stays on the screen, until the machine is shut down."""
    while True:
        signal.pause()


def wait_for_seed(
    paths: Paths,
    console: Console,
    admit: Admit,
    restored: Callable[[], str],
    bring_back: BringBack,
) -> Seed | str:
    """Return the first usable seed, or what was `restored` meanwhile, however long it takes.

    `restored` puts in place what was fetched, whoever asked for it: somebody at the console, or a
    seed, for which `bring_back` fetches it. What is missing or wrong is on the console once, and
    again only when it changes.
    """
    shown: list[tuple[str, ...]] = []

    found: list[Seed | str] = []
    restoring = Restoring(bring_back, paths, console)

    def look() -> bool:
        if what := restored():
            found.append(what)
            return True
        search = find_seed(paths, admit, restoring)
        if isinstance(search.seed, RestoreSeed):
            # Put in place by the next look.
            return False
        state = tuple(str(error) for error in search.errors)
        _leave_given(search, paths)
        if search.seed is None and not shown and not search.failed:
            _connect(paths, console)
        if shown[-1:] != [state] and (search.errors or search.seed is None):
            shown.append(state)
            _tell(search, console)
        if search.seed is not None:
            found.append(search.seed)
        return bool(found)

    wait_for(look, what="a usable seed", timeout=math.inf, interval=POLL_SECONDS)
    return found[0]


def _connect(paths: Paths, console: Console) -> None:
    """Bring the network up, for the setup in a browser; the console does without."""
    try:
        connect_before_setup(paths.networkd)
    except MailsteadError as error:
        console.error(error)


def _leave_given(search: Search, paths: Paths) -> None:
    """Give those who ask questions what a seed says already."""
    if search.seed is None and search.given != read_given(paths):
        write_given(paths, search.given)


def _tell(search: Search, console: Console) -> None:
    for error in search.errors:
        console.error(error)
    if search.seed is not None:
        return
    if search.given.source:
        heading, opening = "These settings leave questions open", _ASK
    elif search.failed:
        heading = "This restore does not work yet"
        opening = f"Nothing has been changed. It is tried again every minute. {_ASK}"
    elif search.errors:
        heading = "These settings cannot be used"
        opening = f"Nothing has been changed yet. {_ASK}"
    else:
        heading, opening = "This machine has no settings yet", _ASK
    example = () if search.errors else ("The least that it may contain:", _EXAMPLE)
    console.show(heading, (opening, _WAYS, *example))
    console.say("waiting for settings")
