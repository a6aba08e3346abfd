"""Checks of the machine itself, against files of the kernel and faked programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from firstboot.base.errors import CommandError, MachineError
from firstboot.checks import hardware
from firstboot.checks.machine import Bare
from firstboot.system.processor import Processor, read_processor
from tests.unit.firstboot.conftest import FakePrograms

Make = Callable[..., Bare]
CPUINFO = """\
processor\t: 0
model name\t: Some CPU @ 2.00GHz
flags\t\t: fpu aes rdrand

processor\t: 1
model name\t: Some CPU @ 2.00GHz
flags\t\t: fpu aes rdrand
"""


def test_processor_of_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    found = read_processor(tmp_path / "cpuinfo")
    assert (found.model, found.cores) == ("Some CPU @ 2.00GHz", 2)
    assert found.flags == {"fpu", "aes", "rdrand"}
    with pytest.raises(MachineError):
        read_processor(tmp_path / "other")


@pytest.mark.parametrize(
    ("architecture", "flags", "state"),
    [("x86_64", {"aes"}, "pass"), ("x86_64", {"fpu"}, "warn"), ("aarch64", {"aes"}, "fail")],
)
def test_processor(
    bare: Make, monkeypatch: pytest.MonkeyPatch, architecture: str, flags: set[str], state: str
) -> None:
    found = Processor(architecture, "Some CPU", 2, frozenset(flags))
    monkeypatch.setattr(hardware, "read_processor", lambda: found)
    result = hardware.check_processor(bare())
    assert result.state == state
    assert result.measured.startswith(f"{architecture}, 2 cores, Some CPU")


@pytest.mark.parametrize(
    ("container", "machine", "found"),
    [
        ("none", "none", ("pass", "hardware of its own")),
        ("none", "kvm", ("pass", "virtual machine (kvm)")),
        ("lxc", "kvm", ("fail", "in a container (lxc)")),
    ],
)
def test_virtualisation(
    bare: Make, programs: FakePrograms, container: str, machine: str, found: tuple[str, str]
) -> None:
    programs.add(
        "systemd-detect-virt",
        f"case $1 in --container) echo {container} ;; *) echo {machine} ;; esac; exit 1",
    )
    result = hardware.check_virtualisation(bare())
    assert (result.state, result.measured) == found


def test_virtualisation_that_cannot_be_found_out(bare: Make, programs: FakePrograms) -> None:
    programs.add("systemd-detect-virt", "exit 2")
    with pytest.raises(CommandError, match="said nothing"):
        hardware.check_virtualisation(bare())


@pytest.mark.parametrize(("there", "state"), [(True, "pass"), (False, "warn")])
def test_tpm(bare: Make, monkeypatch: pytest.MonkeyPatch, there: bool, state: str) -> None:
    monkeypatch.setattr(hardware, "has_tpm2", lambda: there)
    assert hardware.check_tpm(bare()).state == state


@pytest.mark.parametrize(
    ("found", "state"),
    [("enforced", "pass"), ("off", "warn"), ("setup mode", "warn"), ("unknown (no UEFI)", "warn")],
)
def test_secure_boot(bare: Make, monkeypatch: pytest.MonkeyPatch, found: str, state: str) -> None:
    monkeypatch.setattr(hardware, "read_secure_boot", lambda _efivars: found)
    result = hardware.check_secure_boot(bare())
    assert (result.state, result.measured) == (state, found)
    assert bool(result.what_to_do) == (state != "pass")
