"""QEMU's control connection: the asyncio library `qemu.qmp` behind plain blocking calls."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, TypeVar

from qemu.qmp import EventListener, ExecuteError, Message, QMPClient, QMPError

from firstboot.base.errors import DeadlineError
from tools.vm.deadline import Deadline
from tools.vm.errors import MachineDiedError, VirtualMachineError

# QEMU answers at once, unless the host is busy: at the end it writes back what it holds of a disk.
COMMAND_SECONDS = 300.0
Result = TypeVar("Result")


class Monitor:
    """One QMP session over a connected socket; its event loop runs in a thread of its own.

    `on_event` is called in that thread with each event (qemu-qmp-ref(7), "Events").
    """

    def __init__(
        self, connection: socket.socket, on_event: Callable[[Mapping[str, Any]], None] | None = None
    ) -> None:
        self._on_event = on_event
        self._changed = threading.Condition()
        self._events: list[Mapping[str, Any]] = []
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="vm-monitor", daemon=True
        )
        self._thread.start()
        self._client = QMPClient("mailstead")
        try:
            self._call(asyncio.wait_for(self._open(connection), COMMAND_SECONDS))
        except (QMPError, EOFError, OSError, TimeoutError) as error:
            self.close()
            raise MachineDiedError(
                f"QEMU refused its control connection: {error}", hint="See QEMU's log."
            ) from error

    def execute(
        self,
        command: str,
        arguments: Mapping[str, object] | None = None,
        *,
        seconds: float = COMMAND_SECONDS,
    ) -> Any:
        """Run a QMP command and return its result.

        Raises VirtualMachineError when QEMU refuses it, MachineDiedError when QEMU ends instead
        of answering, DeadlineError when no answer comes within `seconds`.
        """
        call = self._client.execute(command, arguments)
        try:
            return self._call(asyncio.wait_for(call, seconds))
        except ExecuteError as error:
            raise VirtualMachineError(
                f"QEMU refused {command} {dict(arguments or {})}: {error}",
                hint="See the QEMU QMP reference for the command.",
            ) from error
        except TimeoutError as error:
            raise DeadlineError(
                f"QEMU did not answer {command} within {seconds:.0f} s",
                hint="Look whether the host is overloaded.",
            ) from error
        except (QMPError, EOFError, OSError) as error:
            raise MachineDiedError(
                f"QEMU ended before it answered {command}", hint="See QEMU's log and the console."
            ) from error

    def human(self, line: str) -> str:
        """Run a command of the human monitor, for what QMP has no word for."""
        return str(self.execute("human-monitor-command", {"command-line": line}))

    def mark(self) -> int:
        """How many events there were until now; hand it to `wait_event`."""
        with self._changed:
            return len(self._events)

    def wait_event(
        self, name: str, *, seconds: float, after: int = 0, **data: object
    ) -> Mapping[str, Any]:
        """Wait for an event of this name whose `data` holds the given values.

        Raises MachineDiedError when the connection ends first, else DeadlineError.
        """
        deadline = Deadline(seconds)
        with self._changed:
            while True:
                for event in self._events[after:]:
                    if event["event"] == name and data.items() <= event.get("data", {}).items():
                        return event
                if self._closed:
                    raise MachineDiedError(
                        f"QEMU ended before its event {name}", hint="See QEMU's log."
                    )
                if deadline.expired:
                    raise DeadlineError(
                        f"no event {name} from QEMU within {seconds:.0f} s",
                        hint="Look at the console; a slow host may need a longer deadline.",
                    )
                self._changed.wait(deadline.remaining)

    def close(self) -> None:
        """End the session, whatever state it is in."""
        with contextlib.suppress(QMPError, EOFError, OSError, TimeoutError):
            self._call(asyncio.wait_for(self._client.disconnect(), COMMAND_SECONDS))
        self._call(_cancel_other_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _open(self, connection: socket.socket) -> None:
        listener = EventListener()
        self._client.register_listener(listener)
        await self._client.connect(connection)
        # The loop itself holds tasks weakly only.
        self._tasks = (
            asyncio.create_task(self._record(listener)),
            asyncio.create_task(self._watch_end()),
        )

    async def _record(self, listener: EventListener) -> None:
        async for event in listener:
            message: Message = event
            with self._changed:
                self._events.append(dict(message))
                self._changed.notify_all()
            if self._on_event:
                self._on_event(dict(message))

    async def _watch_end(self) -> None:
        # The library leaves the running state by itself when the other side closes.
        await self._client.runstate_changed()
        with self._changed:
            self._closed = True
            self._changed.notify_all()


@contextlib.contextmanager
def monitoring(
    connection: socket.socket, on_event: Callable[[Mapping[str, Any]], None] | None = None
) -> Iterator[Monitor]:
    """A Monitor for as long as the block runs."""
    monitor = Monitor(connection, on_event)
    try:
        yield monitor
    finally:
        monitor.close()


async def _cancel_other_tasks() -> None:
    """Let the loop be closed without a task that still waits in it."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
