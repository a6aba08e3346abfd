"""systemctl(1): what systemd says about units."""

from __future__ import annotations

from firstboot.base.run import run


def is_active(unit: str) -> bool:
    """Whether a unit runs now."""
    return run(["systemctl", "is-active", "--quiet", unit], check=False).returncode == 0


def failed_units() -> tuple[str, ...]:
    """The names of all units that failed; CommandError when systemd does not answer."""
    listed = run(["systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager"])
    return tuple(line.split()[0] for line in listed.stdout.splitlines() if line.strip())


def start_now(*units: str) -> None:
    """Start units without those that they come after, and do not wait; CommandError if refused."""
    how = ["--no-block", "--job-mode=ignore-dependencies"]
    run(["systemctl", "start", *how, *units], timeout=60)
