"""The serial console: what the guest has said so far, and waiting for what it shall say."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Sequence

from firstboot.base.errors import DeadlineError
from tools.vm.deadline import Deadline
from tools.vm.errors import ConsoleFailureError, MachineDiedError

# Lines after which no boot of ours goes on. The second is systemd's (emergency.service(8)).
BOOT_FAILURES = (r"Kernel panic - not syncing", r"You are in emergency mode")
LINES_IN_ERRORS = 40

# A match may begin this many characters before the newest output.
MATCH_REACH = 4096

# Terminal control: CSI and OSC sequences, two-character escapes, and stray control characters
# (ECMA-48). Firmware and systemd colour what they print.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-Z\\^-~]"
    r"|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]"
)
_LONGEST_SEQUENCE = 4096


class Console:
    """Reads a connected stream socket in a thread of its own until the other side closes it.

    `on_output` is called in that thread with each new piece of text, and with "" at the end.
    """

    def __init__(self, stream: socket.socket, on_output: Callable[[str], None] | None = None):
        self._stream = stream
        self._on_output = on_output
        self._changed = threading.Condition()  # re-entrant, see threading.Condition
        self._text = ""
        self._ended = False
        self._thread = threading.Thread(target=self._read, name="vm-console", daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        """Everything the guest has said, without terminal control sequences and CRs."""
        with self._changed:
            return self._text

    @property
    def ended(self) -> bool:
        """Whether the other side is gone: nothing more will come."""
        with self._changed:
            return self._ended

    def mark(self) -> int:
        """Where the text ends now; hand it to `wait_for` to look only at what comes later."""
        return len(self.text)

    def tail(self, lines: int = LINES_IN_ERRORS) -> str:
        """The last lines of the text."""
        return "\n".join(self.text.splitlines()[-lines:])

    def send(self, text: str) -> None:
        """Type on the console."""
        self._stream.sendall(text.encode())

    def wait_for(
        self,
        pattern: str,
        *,
        seconds: float,
        fail_on: Sequence[str] = BOOT_FAILURES,
        after: int = 0,
    ) -> re.Match[str]:
        """Wait until the text holds a match of the regular expression (multi-line mode).

        Raises ConsoleFailureError at once when a `fail_on` pattern shows before it,
        MachineDiedError when the other side closes, DeadlineError after `seconds`; each error
        ends with the last lines of the text.
        """
        wanted = re.compile(pattern, re.MULTILINE)
        failures = [re.compile(failure, re.MULTILINE) for failure in fail_on]
        deadline = Deadline(seconds)
        start = after
        with self._changed:
            while True:
                found = wanted.search(self._text, start)
                failed = _first(failures, self._text, start)
                if failed and (found is None or failed.start() < found.start()):
                    raise ConsoleFailureError(
                        f"console showed {failed[0]!r} while waiting for {pattern!r}\n"
                        f"{self.tail()}",
                        hint="Read the console lines above.",
                    )
                if found:
                    return found
                start = max(after, len(self._text) - MATCH_REACH)
                self._wait_for_more(pattern, deadline)

    def close(self) -> None:
        """Stop reading."""
        # Wakes the reader, which close() alone would not.
        with contextlib.suppress(OSError):  # the other side was faster
            self._stream.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._stream.close()

    def _wait_for_more(self, pattern: str, deadline: Deadline) -> None:
        if self._ended:
            raise MachineDiedError(
                f"the machine ended before its console showed {pattern!r}\n{self.tail()}",
                hint="Read the console lines above.",
            )
        if not self._changed.wait(deadline.remaining) and deadline.expired:
            raise DeadlineError(
                f"console did not show {pattern!r} within {deadline.seconds:.0f} s\n{self.tail()}",
                hint="Read the console lines above; a slow host may need a longer deadline.",
            )

    def _read(self) -> None:
        pending = b""
        while chunk := self._receive():
            complete, pending = _split_incomplete(pending + chunk)
            self._append(complete)
        self._append(pending)
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._on_output:
            self._on_output("")

    def _receive(self) -> bytes:
        try:
            return self._stream.recv(65536)
        except OSError:  # reset by a killed QEMU: the same as its end
            return b""

    def _append(self, raw: bytes) -> None:
        clean = _CONTROL.sub("", raw.decode(errors="replace"))
        if not clean:
            return
        with self._changed:
            self._text += clean
            self._changed.notify_all()
        if self._on_output:
            self._on_output(clean)


def _first(patterns: Sequence[re.Pattern[str]], text: str, start: int) -> re.Match[str] | None:
    """The match of any of the patterns that begins earliest."""
    matches = [match for pattern in patterns if (match := pattern.search(text, start))]
    return min(matches, key=lambda match: match.start(), default=None)


def _split_incomplete(raw: bytes) -> tuple[bytes, bytes]:
    """Keep back what may be the first half of a UTF-8 character or of a control sequence."""
    escape = raw.rfind(b"\x1b")
    if escape != -1 and len(raw) - escape < _LONGEST_SEQUENCE:
        rest = raw[escape:].decode(errors="replace")
        if not _CONTROL.match(rest):
            return raw[:escape], raw[escape:]
    for size in range(1, 4):
        lead = raw[-size:][:1]
        if len(raw) >= size and lead >= b"\xc0":
            needed = 2 if lead < b"\xe0" else 3 if lead < b"\xf0" else 4
            return (raw[:-size], raw[-size:]) if needed > size else (raw, b"")
    return raw, b""
