"""A virtual machine that boots a disk: power, console, ports, volumes, screen.

    with Machine(Disk.create(folder, image)) as machine:
        machine.wait_for_console(r"login:", seconds=30)
        machine.power_cut()
        machine.start()  # the same disk again

Everything is acquired in order and released in reverse, also when a start fails half-way.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from firstboot.base.errors import DeadlineError
from tools.vm.accelerator import Accelerator, find_accelerator
from tools.vm.commandline import Connections, Parts
from tools.vm.console import BOOT_FAILURES, Console
from tools.vm.disk import Disk
from tools.vm.errors import MachineDiedError, VirtualMachineError
from tools.vm.firmware import Firmware, find_firmware
from tools.vm.guest import GuestAgent
from tools.vm.hardware import Drive, Hardware, blockdev_options
from tools.vm.ledger import Ledger
from tools.vm.network import Network, UserNetwork
from tools.vm.qmp import Monitor
from tools.vm.session import END_SECONDS, Session, explained, power_on
from tools.vm.sockets import workspace

HOTPLUG_SECONDS = 20.0


class Machine:
    """One machine around a `Disk`. Entering it powers it on, leaving it ends all of it.

    `logs`: folder for console.log, qemu.log and swtpm.log, kept afterwards (default: thrown away).
    `on_output`: called with each piece of console text. Deadlines are given for KVM and scaled
    for the accelerator in use.
    """

    def __init__(
        self,
        disk: Disk,
        hardware: Hardware | None = None,
        network: Network | None = None,
        *,
        accelerator: Accelerator | None = None,
        firmware: Firmware | None = None,
        logs: Path | None = None,
        ledger: Ledger | None = None,
        on_output: Callable[[str], None] | None = None,
    ) -> None:
        self.disk = disk
        self.hardware = hardware or Hardware()
        self.network: Network = network or UserNetwork()
        self.accelerator = accelerator or find_accelerator()
        self.firmware = firmware or find_firmware(secure_boot=self.hardware.secure_boot)
        self._logs = logs
        self._ledger = ledger or Ledger()
        self._on_output = on_output
        self._volumes = 0
        self._session: Session | None = None
        self._lifetime = ExitStack()  # the folder
        self._power = ExitStack()  # from power-on to power-off

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = stack.enter_context(workspace(self._ledger))
            self.logs = self._logs or self.folder / "logs"
            self.logs.mkdir(parents=True, exist_ok=True)
            self._connections = Connections(self.folder, self.logs)
            stack.callback(self._release)
            self.start()
            self._lifetime = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lifetime.close()

    # Power

    def start(self) -> None:
        """Power on. Raises MachineDiedError when QEMU does not start, with its own words."""
        if self.running:
            raise VirtualMachineError("the machine runs already")
        self._release()
        if self.disk.frozen:
            raise VirtualMachineError(
                f"the disk in {self.disk.folder} has clones and must not change any more",
                hint="Boot a clone of it.",
            )
        with ExitStack() as stack:
            self._session = power_on(stack, self._parts(), self._ledger, self._on_output)
            self._power = stack.pop_all()

    def power_cut(self, how: Literal["quit", "kill"] = "quit") -> None:
        """Take the power away: the guest is not told.

        `quit` keeps all that the disk had taken; `kill` may also lose what the guest wrote
        without flushing it, as a disk's own volatile cache would.
        """
        session = self._running_session()
        if how == "quit":
            # QEMU may be gone before it has answered.
            with contextlib.suppress(MachineDiedError):
                session.monitor.execute("quit")
            session.qemu.wait(END_SECONDS)
        session.qemu.kill()
        self._release()

    def power_button(self, *, seconds: float = 60.0) -> None:
        """Press the power button and wait until the guest has shut itself down."""
        self._running_session().monitor.execute("system_powerdown")
        self.wait_for_end(seconds=seconds)

    def wait_for_end(self, *, seconds: float) -> None:
        """Wait until the guest has powered itself off; DeadlineError when it does not."""
        session = self._running_session()
        allowed = self.accelerator.scaled(seconds)
        if not session.qemu.wait(allowed):
            raise DeadlineError(
                f"the machine did not power off within {allowed:.0f} s\n{session.console.tail()}",
                "Read the console lines above.",
            )
        self._release()

    def ends_within(self, seconds: float) -> bool:
        """Whether the machine ends by itself within so many seconds, which are not scaled."""
        return self._any_session().qemu.wait(seconds)

    def reset(self) -> None:
        """Press the reset button: the guest is not told, QEMU goes on."""
        self._running_session().monitor.execute("system_reset")

    @property
    def running(self) -> bool:
        """Whether there is power."""
        return self._session is not None and self._session.qemu.running

    @property
    def uptime(self) -> float:
        """Seconds since power-on."""
        return time.monotonic() - self._any_session().powered_on

    # What can be seen from outside

    @property
    def console(self) -> Console:
        """The serial console of this boot, or of the last one."""
        return self._any_session().console

    @property
    def console_text(self) -> str:
        """All that this boot (or the last one) has said."""
        return self.console.text

    def wait_for_console(
        self,
        pattern: str,
        *,
        seconds: float,
        fail_on: Sequence[str] = BOOT_FAILURES,
        after: int = 0,
    ) -> re.Match[str]:
        """Wait for a regular expression on the console; `seconds` is scaled.

        See `Console.wait_for` for the errors.
        """
        session = self._any_session()
        allowed = self.accelerator.scaled(seconds)
        with explained(session.qemu):
            return session.console.wait_for(pattern, seconds=allowed, fail_on=fail_on, after=after)

    @property
    def ports(self) -> Mapping[str, int]:
        """The host's loopback port of each forwarded service, for this boot."""
        return self._any_session().ports

    @property
    def monitor(self) -> Monitor:
        """The QMP session, for whatever has no method here."""
        return self._running_session().monitor

    @property
    def qmp_socket(self) -> Path:
        """A second QMP socket, for other programs."""
        return self._connections.public

    @property
    def console_log(self) -> Path:
        """The raw serial log of all boots."""
        return self._connections.console_log

    @property
    def guest_connected(self) -> bool:
        """Whether an agent inside listens."""
        devices = self._running_session().monitor.execute("query-chardev")
        return any(device["label"] == "agent" and device["frontend-open"] for device in devices)

    @property
    def guest(self) -> GuestAgent:
        """The agent inside, in images that have one."""
        return GuestAgent(self._connections.agent, factor=self.accelerator.factor)

    def screenshot(self, path: Path) -> None:
        """Write what the screen shows as PNG."""
        arguments = {"filename": str(path.resolve()), "format": "png"}
        self._running_session().monitor.execute("screendump", arguments)

    # Volumes

    def hotplug_volume(self, image: Path, *, read_only: bool = False) -> str:
        """Plug in a USB stick holding the raw image; returns the name to unplug it by."""
        monitor = self._running_session().monitor
        self._volumes += 1
        name = f"volume{self._volumes}"
        drive = Drive(image.resolve(), "usb", read_only=read_only)
        monitor.execute("blockdev-add", blockdev_options(name, drive))
        try:
            device = {"driver": "usb-storage", "bus": "usb.0", "id": name, "drive": name}
            monitor.execute("device_add", device)
        except VirtualMachineError:
            monitor.execute("blockdev-del", {"node-name": name})
            raise
        return name

    def unplug_volume(self, name: str) -> None:
        """Pull out a USB stick that was plugged in by `hotplug_volume`."""
        monitor = self._running_session().monitor
        mark = monitor.mark()
        monitor.execute("device_del", {"id": name})
        seconds = self.accelerator.scaled(HOTPLUG_SECONDS)
        monitor.wait_event("DEVICE_DELETED", seconds=seconds, after=mark, device=name)
        monitor.execute("blockdev-del", {"node-name": name})

    def _parts(self) -> Parts:
        return Parts(
            self.disk,
            self.hardware,
            self.network,
            self.accelerator,
            self.firmware,
            self._connections,
        )

    def _release(self) -> None:
        """Let go of all that belongs to one power-on; ends QEMU if it still runs."""
        self._power.close()

    def _any_session(self) -> Session:
        if self._session is None:
            raise VirtualMachineError("the machine was never powered on")
        return self._session

    def _running_session(self) -> Session:
        session = self._any_session()
        if not session.qemu.running:
            raise session.qemu.death("earlier")
        return session
