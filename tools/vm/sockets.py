"""Unix sockets that QEMU and swtpm find ready, and the folder they are in.

Wherever possible we listen and the program connects: nothing has to wait for a socket file to
appear, and no early output is lost.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools.vm.errors import VirtualMachineError
from tools.vm.firmware import escape
from tools.vm.ledger import Ledger

# sun_path, with its terminating zero (unix(7)).
PATH_BYTES = 108


@contextlib.contextmanager
def workspace(ledger: Ledger) -> Iterator[Path]:
    """A private folder with a short path (for sockets), removed afterwards."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    root = runtime if os.access(runtime, os.W_OK | os.X_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="mailstead-", dir=root))
    with ledger.entered("folder", folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A listening stream socket at `path`, removed afterwards."""
    if len(bytes(path)) >= PATH_BYTES:
        raise VirtualMachineError(
            f"the path of a socket is too long: {path}",
            hint="Set XDG_RUNTIME_DIR or TMPDIR to a folder with a short path.",
        )
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        try:
            listener.listen()
            yield listener
        finally:
            path.unlink(missing_ok=True)


def socket_argument(name: str, path: Path, *, server: bool = False, log: Path | None = None) -> str:
    """QEMU's `-chardev` for a stream socket; all output also goes to the end of `log`."""
    options = f"socket,id={name},path={escape(path)}"
    if server:
        options += ",server=on,wait=off"
    if log:
        options += f",logfile={escape(log)},logappend=on"
    return options
