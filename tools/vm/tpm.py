"""A TPM 2.0 for a machine: swtpm, whose state outlives it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from tools.vm.firmware import escape
from tools.vm.ledger import Ledger
from tools.vm.processes import Child, started
from tools.vm.sockets import listening

TpmModel = Literal["tpm-crb", "tpm-tis"]


@contextlib.contextmanager
def running_tpm(
    state: Path, socket_path: Path, *, log: Path, ledger: Ledger | None = None
) -> Iterator[Child]:
    """Run swtpm on the state in the folder `state` for as long as the block runs.

    QEMU connects to `socket_path`. swtpm inherits the socket already listening, so there is no
    moment at which QEMU could come too early; it ends by itself when QEMU does.
    """
    state.mkdir(parents=True, exist_ok=True)
    with listening(socket_path) as listener:
        argv = [
            *("swtpm", "socket", "--tpm2", "--terminate"),
            *("--tpmstate", f"dir={state}"),
            *("--ctrl", f"type=unixio,fd={listener.fileno()}"),
        ]
        with started("swtpm", argv, log=log, pass_fds=[listener.fileno()], ledger=ledger) as child:
            yield child


def tpm_arguments(model: TpmModel, socket_path: Path) -> list[str]:
    """QEMU's arguments for the TPM behind the socket."""
    return [
        *("-chardev", f"socket,id=tpm,path={escape(socket_path)}"),
        *("-tpmdev", "emulator,id=tpm,chardev=tpm"),
        *("-device", f"{model},tpmdev=tpm"),
    ]
