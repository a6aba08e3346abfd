"""What `forge try` finds out, and how it tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from firstboot.base.roundtrip import RoundTrip, round_trip
from tools.boot.appliance import Moments, account, await_ready, read_status
from tools.boot.example import Example
from tools.build.commands import sizes
from tools.build.image import Built
from tools.host.cache import readable
from tools.vm import Machine

_MIB = 1 << 20
# Delivery within the machine, under KVM.
_DELIVERY_SECONDS = 30.0


@dataclass(frozen=True)
class Trial:
    """One appliance that has carried a mail; `first_mail` is in seconds since power-on."""

    built: Built
    accelerator: str
    moments: Moments
    first_mail: float
    round_trip: RoundTrip
    memory: Mapping[str, Any]
    ports: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """The one object of `--json`; sizes in bytes, times in seconds."""
        return {
            "version": self.built.release.version,
            "base": self.built.release.base,
            "accelerator": self.accelerator,
            "image": sizes(self.built),
            "seconds": {
                "build": round(self.built.seconds, 1),
                "power_on_to_login": round(self.moments.console_ready, 1),
                "setup": round(self.moments.ready - self.moments.console_ready, 1),
                "power_on_to_first_mail": round(self.first_mail, 1),
                "round_trip": round(self.round_trip.seconds, 3),
            },
            "memory_mib": self.memory,
            "ports": dict(self.ports),
            "round_trip": {"ok": True, "bytes": self.round_trip.bytes},
        }


def run_trial(
    machine: Machine, built: Built, example: Example, report: Callable[[str], None]
) -> Trial:
    """Wait until the machine is ready and send a mail through it from outside.

    Raises RoundTripError, DeadlineError, or what the machine itself has said is wrong.
    """
    moments = await_ready(machine, report)
    report("Sending a mail and reading it back …")
    delivery = machine.accelerator.scaled(_DELIVERY_SECONDS)
    done = round_trip(account(machine, example), timeout=delivery)
    first_mail = machine.uptime
    report("Asking the machine how it is doing …")
    status = read_status(machine)
    return Trial(
        built=built,
        accelerator=machine.accelerator.name,
        moments=moments,
        first_mail=first_mail,
        round_trip=done,
        memory={
            "used": status["memory"]["used"] // _MIB,
            "containers": {
                found["name"]: None if found["memory"] is None else round(found["memory"] / _MIB, 1)
                for found in status["containers"]
            },
        },
        ports=dict(machine.ports),
    )


def format_trial(trial: Trial, example: Example) -> str:
    """The report for people."""
    found = trial.as_json()
    seconds, image, memory = found["seconds"], found["image"], found["memory_mib"]
    rows = {
        "Build": f"{seconds['build']:.1f} s",
        "Power-on until it speaks": f"{seconds['power_on_to_login']:.1f} s ({trial.accelerator})",
        "Set-up until services answer": f"{seconds['setup']:.1f} s",
        "Power-on until the first mail": f"{seconds['power_on_to_first_mail']:.1f} s",
        "Round trip": f"{seconds['round_trip']:.2f} s",
        "Image": f"{readable(image['bytes'])}, {readable(image['zstd_bytes'])} compressed",
        "UKI": readable(image["uki_bytes"]),
        "Memory in use": f"{memory['used']} MiB",
        **{f"  {name}": f"{used} MiB" for name, used in memory["containers"].items()},
    }
    access = {
        "Person": example.address,
        "Password": example.password,
        "Host name": f"{example.hostname} (its certificate is self-signed)",
        **{name: f"127.0.0.1:{port}" for name, port in trial.ports.items()},
    }
    return "\n".join(
        [
            f"Mailstead {found['version']} on {found['base']} works: a mail of "
            f"{trial.round_trip.bytes} bytes was",
            "submitted, delivered, read over IMAP byte for byte, and deleted.",
            "",
            *_table(rows),
            "",
            "Connect a mail program:",
            "",
            *_table(access),
            "",
        ]
    )


def _table(rows: Mapping[str, str]) -> list[str]:
    width = max(len(name) for name in rows)
    return [f"  {name:<{width}}  {value}" for name, value in rows.items()]
