"""The single place that starts processes: argument lists only, and errors that show the output."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.errors import CommandError

TAIL_LINES = 15


@dataclass(frozen=True)
class Completed:
    """A finished process. Output is decoded as UTF-8, what is not UTF-8 becomes U+FFFD."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str | bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
    timeout: float | None = None,
    capture: bool = True,
) -> Completed:
    """Run a program to its end.

    `env` is the whole environment of the program; None hands on ours. Secrets belong into `stdin`,
    never into `argv` or `env`. `timeout` is in seconds; when it passes, or when we are interrupted,
    the program and everything it started is killed. With `capture=False` the program talks to our
    own terminal (standard input included) and the returned output is empty.

    Raises CommandError when the program cannot be started, runs out of time, or, with `check`,
    ends with anything but 0.
    """
    words = tuple(str(word) for word in argv)
    process = _start(words, env=env, cwd=cwd, capture=capture, feed=stdin is not None)
    data = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        out, err = process.communicate(data, timeout=timeout)
    except subprocess.TimeoutExpired:
        tail = _tail(*_kill(process, group=capture))
        raise CommandError(
            f"command {shlex.join(words)} did not finish within {timeout:g} s{tail}"
        ) from None
    except BaseException:
        _kill(process, group=capture)
        raise
    completed = Completed(words, process.returncode, _text(out), _text(err))
    if check and completed.returncode != 0:
        raise CommandError(
            f"command {shlex.join(words)} {_ending(completed.returncode)}"
            + _tail(completed.stdout, completed.stderr),
            returncode=completed.returncode,
        )
    return completed


def run_lines(
    argv: Sequence[str | Path],
    line: Callable[[str], None],
    *,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    complaint: Callable[[str], None] = lambda _line: None,
    keep: bool = False,
) -> Completed:
    """Run a program that says on the way how far it is: `line` gets each line of its output.

    `complaint` gets each line of standard error, in another thread. Lines come without their end.
    Whatever either raises ends the program, and is raised here. There is no deadline: what this is
    for takes as long as it takes. Returns how it ended, with its output only when that is to be
    `keep`t; errors and the rest are as in `run`.
    """
    words = tuple(str(word) for word in argv)
    process = _start(words, env=env, cwd=cwd, capture=True, feed=True)
    said: list[bytes] = []
    kept: list[bytes] = []
    raised: list[Exception] = []
    # Both ends are served beside the reading, so that nobody waits for a full pipe.
    aside = (
        threading.Thread(target=_feed, args=(process, stdin), daemon=True),
        threading.Thread(target=_listen, args=(process, said, complaint, raised), daemon=True),
    )
    for thread in aside:
        thread.start()
    assert process.stdout is not None, "it was started with a pipe"
    try:
        for text in process.stdout:
            if keep:
                kept.append(text)
            line(_text(text).rstrip("\n"))
        process.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    finally:
        for thread in aside:
            thread.join()
        process.stdout.close()
    if raised:
        raise raised[0]
    return Completed(words, process.returncode, _text(b"".join(kept)), _text(b"".join(said)))


def _feed(process: subprocess.Popen[bytes], data: bytes) -> None:
    assert process.stdin is not None, "it was started with a pipe"
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(data)


def _listen(
    process: subprocess.Popen[bytes],
    said: list[bytes],
    complaint: Callable[[str], None],
    raised: list[Exception],
) -> None:
    """Keep the last of what the program complains of; what `complaint` raises ends it."""
    assert process.stderr is not None, "it was started with a pipe"
    with process.stderr:
        # Only what an error shows; a program that complains for days must not fill the memory.
        for text in process.stderr:
            said.append(text)
            del said[: -10 * TAIL_LINES]
            try:
                if not raised:
                    complaint(_text(text).rstrip("\n"))
            except Exception as error:
                raised.append(error)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def _start(
    words: tuple[str, ...],
    *,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    capture: bool,
    feed: bool,
) -> subprocess.Popen[bytes]:
    output = subprocess.PIPE if capture else None
    unfed = subprocess.DEVNULL if capture else None
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.PIPE if feed else unfed,
            stdout=output,
            stderr=output,
            env=env,
            cwd=cwd,
            # A group of its own can be killed as a whole, but may not read from the terminal.
            process_group=0 if capture else None,
        )
    except FileNotFoundError:
        if cwd is not None and not cwd.is_dir():
            message = f"command {words[0]} cannot start: its directory {cwd} does not exist"
            raise CommandError(message) from None
        raise CommandError(
            f"command {words[0]} was not found", "Install it, or correct PATH.", returncode=127
        ) from None
    except OSError as error:
        raise CommandError(
            f"command {words[0]} cannot start: {error.strerror}", returncode=126
        ) from None


def _kill(process: subprocess.Popen[bytes], *, group: bool) -> tuple[str, str]:
    with contextlib.suppress(ProcessLookupError):
        if group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    out, err = process.communicate()
    return _text(out), _text(err)


def _ending(returncode: int) -> str:
    if returncode >= 0:
        return f"failed with exit code {returncode}"
    try:
        return f"was ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was ended by signal {-returncode}"


def _text(data: bytes | None) -> str:
    return (data or b"").decode(errors="replace")


def _tail(stdout: str, stderr: str) -> str:
    """The last lines of what the program said, preferring its errors, each indented."""
    lines = (stderr.strip() or stdout.strip()).splitlines()[-TAIL_LINES:]
    return "".join(f"\n  {line}" for line in lines)
