"""The modules that drive the machine, over faked programs, devices and kernel files."""

from __future__ import annotations

import os
import pty
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstboot.base.errors import CommandError, MachineError, SettingsError
from firstboot.base.memory import Memory, read_memory
from firstboot.base.sections import Network
from firstboot.system import hostname, systemctl
from firstboot.system.addresses import reachable_addresses
from firstboot.system.clock import is_synchronized, uptime_seconds
from firstboot.system.console import Console, find_consoles
from firstboot.system.credentials import read_credential
from firstboot.system.disk import read_disk
from firstboot.system.networkd import (
    apply_network,
    connect_before_setup,
    render_network,
    wired_links,
)
from firstboot.system.sockets import Listener, listening
from firstboot.system.volumes import ESP_TYPE, Volume, list_volumes, read_file
from tests.unit.firstboot.conftest import FakePrograms

FAILED = "a.service loaded failed failed A\nb.mount loaded failed failed B\n"


def test_systemctl(programs: FakePrograms) -> None:
    programs.add("systemctl", f"[ $1 = is-active ] && exit 3\nprintf '{FAILED}'")
    assert not systemctl.is_active("docker.service")
    assert systemctl.failed_units() == ("a.service", "b.mount")
    assert programs.calls[0] == ["systemctl", "is-active", "--quiet", "docker.service"]
    programs.add("systemctl")
    assert systemctl.is_active("docker.service")
    assert systemctl.failed_units() == ()


def test_network_by_dhcp() -> None:
    lines = render_network(Network()).splitlines()
    assert lines[:3] == ["[Match]", "Name=en* eth*", ""]
    for line in ("DHCP=yes", "IPv6AcceptRA=yes", "LLMNR=no", "MulticastDNS=no", "UseHostname=no"):
        assert line in lines


def test_static_network() -> None:
    network = Network(
        method="static",
        interface="enp1s0",
        addresses=("192.0.2.10/24", "2001:db8::10/64"),
        gateways=("192.0.2.1", "fe80::1"),
        dns=("192.0.2.53",),
    )
    assert render_network(network) == (
        "[Match]\nName=enp1s0\n\n[Network]\nDHCP=no\nIPv6AcceptRA=no\nLLMNR=no\nMulticastDNS=no\n"
        "Address=2001:db8::10/64\nGateway=192.0.2.1\nGateway=fe80::1\nDNS=192.0.2.53\n"
        "\n[Address]\nAddress=192.0.2.10/24\nDuplicateAddressDetection=ipv4\n"
    )
    unasked = render_network(network.model_copy(update={"detect_duplicates": False}))
    assert "Address=192.0.2.10/24\nAddress=2001:db8::10/64\nGateway=" in unasked
    assert "[Address]" not in unasked


def test_network_is_reloaded_only_when_it_changes(programs: FakePrograms, tmp_path: Path) -> None:
    programs.add("systemctl")
    programs.add("networkctl")
    apply_network(Network(), tmp_path / "network")
    apply_network(Network(), tmp_path / "network")
    assert [name for name, *_ in programs.calls] == ["systemctl", "networkctl"]
    assert (tmp_path / "network/10-mailstead.network").read_text() == render_network(Network())


def test_network_is_not_reloaded_before_networkd_runs(
    programs: FakePrograms, tmp_path: Path
) -> None:
    programs.add("systemctl", "exit 3")
    programs.add("networkctl", "exit 1")
    apply_network(Network(), tmp_path)
    assert [name for name, *_ in programs.calls] == ["systemctl"]


def test_network_before_the_settings_waits_for_nothing(
    programs: FakePrograms, tmp_path: Path
) -> None:
    programs.add("systemctl", "[ $1 = is-active ] && exit 3; exit 0")
    connect_before_setup(tmp_path)
    assert (tmp_path / "10-mailstead.network").read_text() == render_network(Network())
    _, *how, networkd, resolved = programs.calls[-1]
    assert how == ["start", "--no-block", "--job-mode=ignore-dependencies"]
    assert (networkd, resolved) == ("systemd-networkd.service", "systemd-resolved.service")


def test_wired_links(tmp_path: Path) -> None:
    for name in ("lo", "docker0", "enp2s0", "eth0", "wlan0"):
        (tmp_path / name).mkdir()
    for name in ("enp2s0", "eth0", "wlan0"):
        (tmp_path / name / "device").touch()
    # Virtual, whatever its name.
    (tmp_path / "en0.7").mkdir()
    assert wired_links(tmp_path) == ("enp2s0", "eth0")
    assert wired_links(tmp_path / "nothing") == ()


def test_reachable_addresses(programs: FakePrograms) -> None:
    found = """[
      {"ifname": "enp1s0", "addr_info": [
        {"family": "inet6", "local": "2001:db8::10"},
        {"family": "inet6", "local": "2001:db8::99", "temporary": true},
        {"family": "inet", "local": "192.0.2.10"}]},
      {"ifname": "docker0", "addr_info": [{"family": "inet", "local": "172.17.0.1"}]},
      {"ifname": "br-1234", "addr_info": [{"family": "inet", "local": "172.18.0.1"}]},
      {}
    ]"""
    programs.add("ip", f"cat <<'END'\n{found}\nEND")
    assert reachable_addresses() == ("192.0.2.10", "2001:db8::10")
    programs.add("ip")
    assert reachable_addresses() == ()


def test_hostname(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names: list[str] = []
    monkeypatch.setattr(socket, "sethostname", names.append)
    hostname.apply_hostname("mail.example.com", tmp_path)
    assert (tmp_path / "hostname").read_text() == "mail.example.com\n"
    assert "127.0.1.1 mail.example.com mail\n" in (tmp_path / "hosts").read_text()
    monkeypatch.setattr(socket, "gethostname", lambda: "mail.example.com")
    hostname.apply_hostname("mail.example.com", tmp_path)
    assert names == ["mail.example.com"]


def test_hostname_longer_than_the_kernel_takes() -> None:
    name = "mail." + "a" * 60 + ".example.com"
    assert hostname.kernel_name(name) == "mail"
    assert hostname.kernel_name("a" * 52 + ".example.com") == "a" * 52 + ".example.com"


SEED = "mailstead.seed"
BINARY = b"io.systemd.credential.binary:mailstead.seed="


@pytest.fixture
def firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the kernel shows of a machine that gives us no credential, with dmi-sysfs loaded."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (tmp_path / "firmware/dmi/entries").mkdir(parents=True)
    return tmp_path / "firmware"


def add_oem_strings(firmware: Path, number: int, *strings: bytes) -> None:
    """An SMBIOS structure: type, length, handle, count, a byte of a later version, strings."""
    area = bytes([11, 6, 0x00, 0x0E, len(strings), 0xFF])
    write_raw(firmware, f"11-{number}", area + b"\0".join(strings) + b"\0\0")


def write_raw(firmware: Path, entry: str, raw: bytes) -> None:
    (firmware / "dmi/entries" / entry).mkdir()
    (firmware / "dmi/entries" / entry / "raw").write_bytes(raw)


def test_credentials_are_looked_for_in_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, firmware: Path
) -> None:
    unit = tmp_path / "unit"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(unit))
    assert read_credential(SEED, firmware=firmware) is None
    by_name = firmware / "qemu_fw_cfg/by_name/opt/io.systemd.credentials" / SEED
    by_name.mkdir(parents=True)
    (by_name / "raw").write_bytes(b"fw_cfg\0\xff")
    assert read_credential(SEED, firmware=firmware) == b"fw_cfg\0\xff"
    add_oem_strings(firmware, 0, b"io.systemd.credential:mailstead.seed=SMBIOS=1")
    assert read_credential(SEED, firmware=firmware) == b"SMBIOS=1"
    unit.mkdir()
    (unit / SEED).write_bytes(b"unit")
    assert read_credential(SEED, firmware=firmware) == b"unit"


def test_credential_among_other_oem_strings(firmware: Path) -> None:
    write_raw(firmware, "11-x", b"not ours")
    write_raw(firmware, "111-0", b"nor this")
    add_oem_strings(firmware, 0)
    add_oem_strings(
        firmware,
        2,
        b"Board with a name",
        b"io.systemd.credential:mailstead.seeds=another",
        BINARY + b"dmVyc2lvbjog\r\nMQ==",
        BINARY + b"?",
    )
    add_oem_strings(firmware, 10, b"io.systemd.credential:mailstead.seed=too late")
    assert read_credential(SEED, firmware=firmware) == b"version: 1"
    assert read_credential("other", firmware=firmware) is None


@pytest.mark.parametrize("value", [b"?", b"dmVyc2lvbjogMQ", b"=", b"\xff\xfe", b"dmVy-2lv"])
def test_credential_that_is_not_base64(firmware: Path, value: bytes) -> None:
    add_oem_strings(firmware, 3, b"string", BINARY + value)
    with pytest.raises(MachineError, match="11-3/raw is not Base64") as caught:
        read_credential(SEED, firmware=firmware)
    assert "base64 --wrap=0" in caught.value.hint


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x0b",
        b"\x0b\x05\0\0\1",
        b"\x0b\x05\0\0\1string\0",
        b"\x0b\x04\0\0string\0\0",
        b"\x0b\xff\0\0\1string\0\0",
        b"\x01\x05\0\0\1string\0\0",
    ],
)
def test_oem_strings_that_are_garbage(firmware: Path, raw: bytes) -> None:
    write_raw(firmware, "11-0", raw)
    with pytest.raises(MachineError, match="11-0/raw holds no OEM strings"):
        read_credential(SEED, firmware=firmware)


def test_credential_that_cannot_be_read(firmware: Path) -> None:
    place = firmware / "qemu_fw_cfg/by_name/opt/io.systemd.credentials" / SEED / "raw"
    place.mkdir(parents=True)
    with pytest.raises(MachineError, match=f"{place} cannot be read: Is a directory"):
        read_credential(SEED, firmware=firmware)


def test_oem_strings_are_shown_by_a_module(programs: FakePrograms, firmware: Path) -> None:
    (firmware / "dmi/entries").rmdir()
    assert read_credential(SEED, firmware=firmware) is None, "without modprobe"
    programs.add("modprobe", "exit 1")
    assert read_credential(SEED, firmware=firmware) is None
    made = firmware / "dmi/entries/11-0"
    text = r"\013\005\000\000\001io.systemd.credential:mailstead.seed=1\000\000"
    programs.add("modprobe", f"mkdir -p {made}; printf '{text}' >{made}/raw")
    assert read_credential(SEED, firmware=firmware) == b"1"
    assert read_credential(SEED, firmware=firmware) == b"1"
    assert programs.calls == [["modprobe", "-q", "dmi-sysfs"]] * 2
    assert read_credential(SEED, firmware=firmware / "no-smbios") is None
    assert len(programs.calls) == 2


def test_volumes_are_those_with_a_file_system(programs: FakePrograms) -> None:
    programs.lsblk(
        {"path": "/dev/vda", "label": None, "parttype": None, "fstype": None, "mountpoint": None},
        {"path": "/dev/vda1", "label": "ESP", "parttype": ESP_TYPE.upper(), "fstype": "vfat",
         "mountpoint": "/boot"},
        {"path": "/dev/sda", "label": "mailstead", "parttype": None, "fstype": "iso9660",
         "mountpoint": None},
    )  # fmt: skip
    esp, stick = list_volumes()
    assert (esp.device, esp.esp, esp.seed, esp.mounted) == (
        Path("/dev/vda1"),
        True,
        False,
        Path("/boot"),
    )
    assert (stick.device, stick.esp, stick.seed, stick.mounted) == (
        Path("/dev/sda"),
        False,
        True,
        None,
    )


@pytest.mark.parametrize("output", ["", "{}", "[]", '{"blockdevices": 1}'])
def test_lsblk_that_lists_nothing(programs: FakePrograms, output: str) -> None:
    programs.add("lsblk", f"echo '{output}'")
    with pytest.raises(MachineError, match="no list of block devices"):
        list_volumes()


STICK = Volume(Path("/dev/sda"), "MAILSTEAD", esp=False, mounted=None)


def test_file_is_read_from_a_volume(programs: FakePrograms, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "mailstead.yaml").write_bytes(b"version: 1")
    programs.mount_copies(("/dev/sda", files))
    runtime = tmp_path / "run"
    assert read_file(STICK, "mailstead.yaml", runtime=runtime) == b"version: 1"
    assert read_file(STICK, "other.yaml", runtime=runtime) is None
    mount, umount, *_ = programs.calls
    assert mount[:4] == ["mount", "--options", "ro,nosuid,nodev,noexec", "/dev/sda"]
    assert umount == ["umount", mount[4]]
    assert list(runtime.iterdir()) == []


def test_mounted_volume_is_read_in_place(programs: FakePrograms, tmp_path: Path) -> None:
    programs.add("mount", "exit 1")
    (tmp_path / "mailstead.yaml").write_bytes(b"here")
    volume = Volume(Path("/dev/vda1"), "ESP", esp=True, mounted=tmp_path)
    assert read_file(volume, "mailstead.yaml", runtime=tmp_path / "run") == b"here"
    assert programs.calls == []


def test_volume_that_cannot_be_mounted(programs: FakePrograms, tmp_path: Path) -> None:
    programs.add("mount", "echo wrong fs type >&2; exit 32")
    with pytest.raises(CommandError, match="wrong fs type"):
        read_file(STICK, "mailstead.yaml", runtime=tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


def _symlink(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _long(path: Path) -> None:
    path.write_bytes(b"#" * 4_000_001)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_symlink, "Too many levels of symbolic links"),
        (Path.mkdir, "not a regular file"),
        (os.mkfifo, "not a regular file"),
        (_long, "longer than 4000000 bytes"),
    ],
)
def test_file_that_is_no_settings_file(tmp_path: Path, make: object, message: str) -> None:
    assert callable(make)
    make(tmp_path / "mailstead.yaml")
    volume = Volume(Path("/dev/vda1"), "", esp=True, mounted=tmp_path)
    with pytest.raises(MachineError, match=message):
        read_file(volume, "mailstead.yaml", runtime=tmp_path)


@pytest.mark.parametrize(
    ("active", "expected"),
    [
        ("tty0 ttyS0\n", ["tty1", "ttyS0"]),
        ("ttyS0\n", ["ttyS0", "tty1"]),
        ("tty1 hvc0 ttyAMA0", ["tty1", "hvc0", "ttyAMA0"]),
        ("", ["tty1"]),
        (None, ["console", "tty1"]),
    ],
)
def test_consoles(tmp_path: Path, active: str | None, expected: list[str]) -> None:
    path = tmp_path / "active"
    if active is not None:
        path.write_text(active)
    console = find_consoles(Path("/dev"), path)
    assert [device.name for device in console.devices] == expected


@pytest.fixture
def terminal() -> Iterator[tuple[int, Path]]:
    """The reading end of a terminal, and the device at its other end."""
    near, far = pty.openpty()
    try:
        yield near, Path(os.ttyname(far))
    finally:
        os.close(near)
        os.close(far)


def test_console_writes_to_every_device(
    terminal: tuple[int, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    near, device = terminal
    console = Console((tmp_path / "absent", device))
    console.say("ready mail.example.com")
    shown = b""
    while not shown.endswith(b"\n"):  # the kernel may hand it over in pieces
        shown += os.read(near, 1000)
    assert shown == b"mailstead: ready mail.example.com\r\n"
    assert capsys.readouterr().out == "mailstead: ready mail.example.com\n"


def test_console_shows_errors_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    Console(()).error(SettingsError(["seed:1: a: expected …", "seed:2: b: é"], "Correct them."))
    assert capsys.readouterr().out == (
        "mailstead: error: seed:1: a: expected ...\n"
        "mailstead:   seed:2: b: ?\n"
        "mailstead: hint: Correct them.\n"
    )


def test_messages_are_at_most_80_columns_wide(capsys: pytest.CaptureFixture[str]) -> None:
    Console(()).show("Heading", ["word " * 40, "  - item\n  - " + "long " * 40])
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines) <= 80
    assert "HEADING" in lines
    assert "  - item" in lines


def test_console_that_nobody_reads_does_not_hold_up(
    terminal: tuple[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstboot.system.console.WRITE_SECONDS", 0.2)
    Console((terminal[1],)).say("x" * 100_000)


def test_memory(tmp_path: Path) -> None:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:  1000 kB\nMemAvailable:  400 kB\nHugePages_Total:  0\n")
    memory = read_memory(path)
    assert memory == Memory(1_024_000, 409_600)
    assert memory.used == 614_400
    assert read_memory().total > 0
    path.write_text("MemTotal: 1 kB\n")
    with pytest.raises(MachineError, match="MemAvailable"):
        read_memory(path)


def test_disk(tmp_path: Path) -> None:
    disk = read_disk(tmp_path)
    assert 0 <= disk.free <= disk.total
    assert disk.used == disk.total - disk.free
    assert 0 <= disk.free_percent <= 100
    with pytest.raises(MachineError, match="No such file"):
        read_disk(tmp_path / "absent")


def test_listeners_as_the_kernel_prints_them(tmp_path: Path) -> None:
    header = "  sl  local_address rem_address   st\n"
    (tmp_path / "tcp").write_text(
        header
        + "   0: 0100007F:0035 00000000:0000 0A\n"
        + "   1: 00000000:0019 00000000:0000 0A\n"
        + "   2: 0100007F:ABCD 0100007F:0019 01\n"
    )
    (tmp_path / "tcp6").write_text(
        header
        + "   0: 00000000000000000000000000000000:03E1 "
        + "00000000000000000000000000000000:0000 0A\n"
        + "   1: 0000000000000000FFFF00000100007F:0050 "
        + "00000000000000000000000000000000:0000 0A\n"
    )
    found = listening(tmp_path)
    assert found == {
        Listener("127.0.0.1", 53),
        Listener("0.0.0.0", 25),  # noqa: S104 - what the kernel says
        Listener("::", 993),
        Listener("127.0.0.1", 80),
    }
    assert {listener.port for listener in found if listener.reachable} == {25, 993}


def test_listeners_of_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert Listener("127.0.0.1", server.getsockname()[1]) in listening()


def test_clock(tmp_path: Path) -> None:
    assert not is_synchronized(tmp_path / "synchronized")
    (tmp_path / "synchronized").touch()
    assert is_synchronized(tmp_path / "synchronized")
    assert uptime_seconds() > 0
