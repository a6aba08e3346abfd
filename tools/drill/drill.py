"""What a restore drill does with its machine, what it finds out, and how it tells."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tools.boot.appliance import BOOT_SECONDS, CONSOLE_READY, READY, READY_SECONDS, TROUBLE
from tools.drill.errors import DrillError
from tools.vm import Machine

FETCHING = r"mailstead: restore: fetching (\d+) files, ([^;\n]+)"
FETCHED = r"mailstead: restore: fetched and compared"
RESTORED = r"mailstead: restored (.+), from the backup of (\S+)"
ERROR = r"^mailstead: error: (.*)$"
# The network's card has to be found and given an address, and the repository opened.
OPENING_SECONDS = 300.0
# A large backup over a slow line; nothing else ends it.
FETCH_SECONDS = 3 * 86400.0
CHECK_SECONDS = 600.0
# What a machine that is cut off cannot pass, with the reason.
NOT_COUNTED = {
    "clock": "it reaches no time server",
    "backups": "it makes none",
}


@dataclass(frozen=True)
class Drill:
    """One restore: what came back, how long each part took in seconds, and what checks say.

    `checks` are those of `mailstead check --json`; `errors` what the console said was wrong after
    the restore, which may be about this machine only.
    """

    what: str
    backup_of: str
    hostname: str
    files: int
    size: str
    seconds: Mapping[str, float]
    checks: Sequence[Mapping[str, str]]
    errors: Sequence[str]

    @property
    def failed(self) -> list[str]:
        """The names of checks that count and failed."""
        return [
            check["name"]
            for check in self.checks
            if check["state"] == "fail" and check["name"] not in NOT_COUNTED
        ]

    def as_json(self) -> dict[str, Any]:
        seconds = {name: round(value, 1) for name, value in self.seconds.items()}
        return {"ok": not self.failed, **asdict(self), "seconds": seconds, "failed": self.failed}


def run_drill(machine: Machine, report: Callable[[str], None]) -> Drill:
    """Have a machine that is on restore itself, cut it off, and look whether it works.

    Raises what the machine itself says is wrong, such as a code that opens nothing.
    """
    report("Waiting for the machine to start …")
    machine.wait_for_console(CONSOLE_READY, seconds=BOOT_SECONDS)
    started = machine.uptime
    report("Waiting for it to open the repository …")
    fetching = machine.wait_for_console(FETCHING, seconds=OPENING_SECONDS, fail_on=TROUBLE)
    opened = machine.uptime
    report(f"It fetches {fetching[1]} files, {fetching[2]} …")
    machine.wait_for_console(FETCHED, seconds=FETCH_SECONDS, fail_on=TROUBLE)
    cut_off(machine)
    fetched = machine.uptime
    report("All is fetched and compared. The machine is cut off from the network.")
    restored = machine.wait_for_console(RESTORED, seconds=BOOT_SECONDS, fail_on=TROUBLE)
    report("Waiting for a mail to go round in it …")
    panic = TROUBLE[-1:]
    ready = machine.wait_for_console(READY, seconds=READY_SECONDS, fail_on=panic)
    works = machine.uptime
    report("Asking it to check itself …")
    checks = _read_checks(machine)
    return Drill(
        what=restored[1],
        backup_of=restored[2],
        hostname=ready[1],
        files=int(fetching[1]),
        size=fetching[2].strip(),
        seconds={
            "start": started,
            "opening": opened - started,
            "fetching": fetched - opened,
            "working": works - fetched,
        },
        checks=checks,
        errors=re.findall(ERROR, machine.console_text[restored.end() :], re.MULTILINE),
    )


def cut_off(machine: Machine) -> None:
    """Pull the machine's cable: it is to send nobody's mail again, and touch no backup.

    That is before anything of the restored machine runs. See QMP's `set_link`.
    """
    machine.monitor.execute("set_link", {"name": "net0", "up": False})


def format_drill(drill: Drill) -> str:
    """The report for people, to be kept with the kit."""
    took = drill.seconds
    rows = {
        "Restored": f"{drill.what}: {drill.files} files, {drill.size}",
        "Backup of": drill.backup_of.replace("T", " "),
        "Power-on until it speaks": f"{took['start']:.0f} s",
        "Opening the repository": f"{took['opening']:.0f} s",
        "Fetching and comparing": f"{took['fetching']:.0f} s",
        "Until a mail went round": f"{took['working']:.0f} s",
    }
    width = max(len(name) for name in rows)
    verdict = f"FAILED: {', '.join(drill.failed)}" if drill.failed else "works"
    lines = [f"{drill.hostname}, restored from its backup, {verdict}.", ""]
    lines += [f"  {name:<{width}}  {value}" for name, value in rows.items()]
    lines += ["", "What it says of itself:", ""]
    lines += [_check_line(check) for check in drill.checks]
    lines += [f"  said on its console: {error}" for error in drill.errors]
    lines += ["", "People's mail was not opened: that takes their passwords.", ""]
    return "\n".join(lines)


def _check_line(check: Mapping[str, str]) -> str:
    name, state = check["name"], check["state"]
    measured = check["measured"].replace("\n", "; ")
    reason = NOT_COUNTED.get(name) if state != "pass" else None
    counted = f" (does not count: {reason})" if reason else ""
    return f"  {state:<4}  {name}: {measured}{counted}"


def _read_checks(machine: Machine) -> list[dict[str, str]]:
    """The checks that make sense without a network; exit code 11 says that some failed."""
    machine.guest.wait_ready(seconds=BOOT_SECONDS)
    argv = ["mailstead", "check", "--group=machine", "--group=mail", "--no-outside", "--json"]
    done = machine.guest.run(argv, check=False, timeout=CHECK_SECONDS)
    try:
        found: list[dict[str, str]] = json.loads(done.stdout)["checks"]
    except (ValueError, KeyError):
        said = (done.stderr or done.stdout).strip()
        raise DrillError(f"the restored machine does not check itself: {said}") from None
    return found
