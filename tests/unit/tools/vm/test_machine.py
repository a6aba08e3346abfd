"""The machine as a whole, around a fake QEMU."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstboot.base.errors import DeadlineError
from tests.unit.tools.vm.conftest import SECONDS, FakePrograms
from tools.vm.accelerator import KVM, Accelerator, boots_firmware, find_accelerator
from tools.vm.disk import Disk
from tools.vm.errors import MachineDiedError, VirtualMachineError
from tools.vm.firmware import Firmware
from tools.vm.hardware import Hardware
from tools.vm.ledger import Ledger
from tools.vm.machine import Machine
from tools.vm.network import UserNetwork


@pytest.fixture
def machine(
    tmp_path: Path,
    programs: FakePrograms,
    ledger: Ledger,
    accelerator: Accelerator,
    firmware: Firmware,
) -> Machine:
    disk = Disk(tmp_path / "disk")
    disk.folder.mkdir()
    disk.path.write_bytes(b"")
    return Machine(
        disk,
        Hardware(credentials=(("mailstead.seed", b"secret settings"),)),
        UserNetwork({"smtp": 25, "imaps": 993}),
        accelerator=accelerator,
        firmware=firmware,
        ledger=ledger,
    )


def test_machine_knows_its_ports_and_console(machine: Machine) -> None:
    with machine:
        assert machine.ports == {"smtp": 40025, "imaps": 40993}
        machine.wait_for_console(r"^BdsDxe: loading Boot0001$", seconds=SECONDS)
        mark = machine.console.mark()
        machine.reset()
        machine.wait_for_console("BdsDxe: loading again", seconds=SECONDS, after=mark)


def test_nothing_is_left_after_the_block(machine: Machine, ledger: Ledger) -> None:
    with machine:
        entries = list(ledger.folder.glob("*.json"))
        assert len(entries) == 3  # folder, swtpm, QEMU
    assert not machine.running
    assert not machine.folder.exists()
    assert not list(ledger.folder.glob("*.json"))


def test_disk_boots_again_after_a_power_cut(machine: Machine, programs: FakePrograms) -> None:
    with machine:
        machine.power_cut()
        assert not machine.running
        machine.disk.variables.write_bytes(b"changed by the guest")
        machine.start()
        machine.power_cut("kill")
        machine.start()
        assert machine.running
    assert len(programs.calls("qemu-system-x86_64")) == 3
    assert machine.disk.variables.read_bytes() == b"changed by the guest"


def test_power_button_waits_for_the_end(machine: Machine) -> None:
    with machine:
        machine.power_button(seconds=SECONDS)
        assert not machine.running


def test_machine_that_stays_on_misses_its_deadline(machine: Machine) -> None:
    with machine, pytest.raises(DeadlineError, match="did not power off"):
        machine.wait_for_end(seconds=0.05)


def test_arguments_of_a_dead_qemu_are_explained(machine: Machine, programs: FakePrograms) -> None:
    programs.behave("die")
    with pytest.raises(MachineDiedError, match="does not like its arguments"), machine:
        pass
    assert not machine.folder.exists()


def test_guest_that_kvm_cannot_run_ends_the_wait(machine: Machine, programs: FakePrograms) -> None:
    programs.behave("stop")
    # Whether starting or waiting meets the end first is a matter of luck.
    with pytest.raises(MachineDiedError, match="exit code is -9"), machine:
        machine.wait_for_console("login:", seconds=SECONDS)


def test_refused_command_names_it(machine: Machine) -> None:
    with machine, pytest.raises(VirtualMachineError, match=r"nonsense.*no such command"):
        machine.monitor.execute("nonsense")


def test_volume_is_plugged_and_unplugged(machine: Machine, tmp_path: Path) -> None:
    with machine:
        name = machine.hotplug_volume(tmp_path / "seed.img")
        machine.unplug_volume(name)
        assert machine.hotplug_volume(tmp_path / "seed.img") != name


def test_frozen_disk_is_refused(machine: Machine) -> None:
    machine.disk.path.chmod(0o444)
    with pytest.raises(VirtualMachineError, match="has clones"), machine:
        pass


def test_secrets_are_not_in_argv(machine: Machine, programs: FakePrograms) -> None:
    with machine:
        (argv,) = programs.calls("qemu-system-x86_64")
        (option,) = [word for word in argv if word.startswith("type=11,path=")]
        content = Path(option.removeprefix("type=11,path=")).read_text()
    assert content == "io.systemd.credential.binary:mailstead.seed=c2VjcmV0IHNldHRpbmdz"
    assert "c2VjcmV0" not in " ".join(argv)


def test_tpm_inherits_its_socket(machine: Machine, programs: FakePrograms) -> None:
    with machine:
        machine.wait_for_console("BdsDxe", seconds=SECONDS)
        (argv,) = programs.calls("swtpm")
    assert argv[:3] == ["socket", "--tpm2", "--terminate"]
    assert f"dir={machine.disk.tpm}" in argv


@pytest.mark.parametrize(
    ("behaviour", "works"), [("ok", True), ("die", False), ("stop", False), ("silent", False)]
)
def test_accelerator_works_only_if_firmware_speaks(
    behaviour: str, works: bool, programs: FakePrograms, firmware: Firmware
) -> None:
    programs.behave(behaviour)
    assert boots_firmware(KVM, firmware, seconds=0.5 if behaviour == "silent" else SECONDS) is works


def test_accelerator_is_remembered_for_this_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, firmware: Firmware
) -> None:
    probes = []

    def probe(accelerator: Accelerator, _: Firmware) -> bool:
        probes.append(accelerator.name)
        return True

    monkeypatch.setattr("tools.vm.accelerator.boots_firmware", probe)
    monkeypatch.setattr("tools.vm.accelerator.find_firmware", lambda: firmware)
    device = tmp_path / "kvm"
    device.touch()
    for _ in range(2):
        assert find_accelerator(cache=tmp_path, device=device) == KVM
    assert probes == ["kvm"]
    monkeypatch.setattr("tools.vm.accelerator.read_boot_id", lambda: "another boot")
    find_accelerator(cache=tmp_path, device=device)
    assert probes == ["kvm", "kvm"]


def test_broken_cache_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "accelerator.json").write_text("{")
    found = find_accelerator(cache=tmp_path, device=tmp_path / "missing")
    assert found.name == "tcg"
    assert found.scaled(10) > 100
    assert '"tcg"' in (tmp_path / "accelerator.json").read_text()
