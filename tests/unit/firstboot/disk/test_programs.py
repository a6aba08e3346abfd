"""The wrapped programs and kernel interfaces that the protection of the disk needs."""

from __future__ import annotations

import json
import os
import pty
import time
from pathlib import Path

import pytest

from firstboot.base.errors import CommandError, MachineError
from firstboot.system.cryptenroll import enrol_recovery_key, enrol_tpm2, wipe_slots
from firstboot.system.cryptsetup import Header, add_key, backing_device, mark_slot, read_header
from firstboot.system.qr import draw_qr
from firstboot.system.secureboot import VENDOR, read_secure_boot
from firstboot.system.terminals import open_terminals
from firstboot.system.tpm import has_tpm2
from tests.unit.firstboot.conftest import FakePrograms

# Made by cryptsetup 2.8 and systemd-cryptenroll 259 with swtpm, see below for what is in it.
SAMPLE = Path(__file__).with_name("luks2.json")
DEVICE = Path("/dev/vda6")
KEY = "hjbttght-khgtikrd-ktlkufnf-ghlnvkhv-fcnkchtg-hifcnguk-bnufhtnu-lublguju"


def test_a_real_header(programs: FakePrograms) -> None:
    programs.add("cryptsetup", f"cat {SAMPLE}")
    header = read_header(DEVICE)
    assert programs.calls == [["cryptsetup", "luksDump", "--dump-json-metadata", "/dev/vda6"]]
    assert header.slots == (0, 2, 3, 5, 6)
    assert header.slots_of("systemd-tpm2") == (2,)
    assert header.slots_of("systemd-recovery") == (3,)
    assert header.slots_of("mailstead-passphrase") == (5,)
    assert header.unmarked == (0, 6)
    assert header.free_slot == 1
    (tpm2,) = [token for token in header.tokens if token.type == "systemd-tpm2"]
    assert (tpm2.pcrs, tpm2.signed_pcrs) == ((7,), (11,))


def test_a_token_whose_slot_is_gone_says_nothing(programs: FakePrograms, tmp_path: Path) -> None:
    content = json.loads(SAMPLE.read_text())
    del content["keyslots"]["2"]
    sample = tmp_path / "header.json"
    sample.write_text(json.dumps(content))
    programs.add("cryptsetup", f"cat {sample}")
    assert "systemd-tpm2" not in [token.type for token in read_header(DEVICE).tokens]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"keyslots": 1, "tokens": {}}',
        '{"keyslots": {"x": {}}, "tokens": {}}',
        '{"keyslots": {"0": {}}, "tokens": []}',
        '{"keyslots": {"0": {}}, "tokens": {"0": {"type": "x", "keyslots": ["y"]}}}',
        '{"keyslots": {"0": {}}, "tokens": {"0": "x"}}',
    ],
)
def test_a_header_that_makes_no_sense(programs: FakePrograms, tmp_path: Path, content: str) -> None:
    sample = tmp_path / "header.json"
    sample.write_text(content)
    programs.add("cryptsetup", f"cat {sample}")
    with pytest.raises(MachineError, match="/dev/vda6"):
        read_header(DEVICE)


def test_not_a_luks_partition(programs: FakePrograms) -> None:
    programs.add("cryptsetup", "echo Device /dev/vda6 is not a valid LUKS device. >&2; exit 1")
    with pytest.raises(CommandError, match="not a valid LUKS device"):
        read_header(DEVICE)


def test_a_full_header() -> None:
    with pytest.raises(MachineError, match="all 32 key slots"):
        _ = Header(tuple(range(32)), ()).free_slot


def test_a_new_key_travels_by_standard_input(programs: FakePrograms, tmp_path: Path) -> None:
    programs.add("cryptsetup", f"cat >>{tmp_path}/stdin")
    add_key(DEVICE, b"secret", slot=4, unlock=Path("/run/key"), stretch=True)
    mark_slot(DEVICE, 4, "ours")
    added, marked = programs.calls
    assert added[-2:] == ["/dev/vda6", "-"]
    assert added[added.index("--key-file") + 1] == "/run/key"
    assert added[added.index("--new-key-slot") + 1] == "4"
    assert marked == ["cryptsetup", "token", "import", "--json-file", "-", "/dev/vda6"]
    stdin = (tmp_path / "stdin").read_text()
    assert stdin == 'secret{"type": "ours", "keyslots": ["4"]}'


def test_the_partition_below_a_volume(tmp_path: Path) -> None:
    mapper, block = tmp_path / "mailstead-state", tmp_path / "block"
    with pytest.raises(MachineError, match="mailstead-state is not"):
        backing_device(mapper, block)
    (tmp_path / "dm-3").touch()
    mapper.symlink_to("dm-3")
    with pytest.raises(MachineError):
        backing_device(mapper, block)
    (block / "dm-3/slaves/nvme0n1p6").mkdir(parents=True)
    assert backing_device(mapper, block) == Path("/dev/nvme0n1p6")
    (block / "dm-3/slaves/vda6").mkdir()
    with pytest.raises(MachineError):
        backing_device(mapper, block)


def test_enrolling(programs: FakePrograms) -> None:
    programs.add("systemd-cryptenroll", f"case $2 in --recovery-key) echo {KEY} ;; esac")
    key, public = Path("/run/key"), Path("/run/public.pem")
    enrol_tpm2(DEVICE, key, public_key=public, secure_boot=True)
    enrol_tpm2(DEVICE, None, public_key=public, secure_boot=False)
    assert enrol_recovery_key(DEVICE, None) == KEY
    wipe_slots(DEVICE, [1, 2])
    wipe_slots(DEVICE, [])
    policy = ["--tpm2-public-key=/run/public.pem", "--tpm2-public-key-pcrs=11", "/dev/vda6"]
    by_key, by_tpm = "--unlock-key-file=/run/key", "--unlock-tpm2-device=auto"
    assert [arguments for _, *arguments in programs.calls] == [
        [by_key, "--tpm2-device=auto", "--tpm2-pcrs=7", *policy],
        [by_tpm, "--tpm2-device=auto", "--tpm2-pcrs=", *policy],
        [by_tpm, "--recovery-key", "/dev/vda6"],
        ["--wipe-slot=1,2", "/dev/vda6"],
    ]


def test_a_failure_tells_the_reason_and_no_key(programs: FakePrograms) -> None:
    programs.add("systemd-cryptenroll", f"echo {KEY}; echo wiping failed >&2; exit 1")
    with pytest.raises(CommandError, match="wiping failed") as caught:
        enrol_recovery_key(DEVICE, None)
    assert KEY[:8] not in str(caught.value)
    programs.add("systemd-cryptenroll", f"echo {KEY}; exit 1")
    with pytest.raises(CommandError, match="no reason"):
        enrol_recovery_key(DEVICE, None)


def test_a_recovery_key_of_another_form_is_not_shown(programs: FakePrograms) -> None:
    programs.add("systemd-cryptenroll", "echo something else")
    with pytest.raises(MachineError, match="unknown form") as caught:
        enrol_recovery_key(DEVICE, None)
    assert "something" not in str(caught.value)


def test_a_code_is_drawn_from_standard_input(programs: FakePrograms, tmp_path: Path) -> None:
    programs.add("qrencode", f"cat >{tmp_path}/stdin; printf '██\\n▀▄\\n'")
    assert draw_qr(KEY) == ("██", "▀▄")
    assert (tmp_path / "stdin").read_text() == KEY
    assert KEY not in programs.calls[0]


def test_secure_boot(tmp_path: Path) -> None:
    efivars = tmp_path / "efivars"
    assert read_secure_boot(efivars) == "unknown (no UEFI)"
    efivars.mkdir()
    assert read_secure_boot(efivars) == "off"
    secure, setup = (efivars / f"{name}-{VENDOR}" for name in ("SecureBoot", "SetupMode"))
    secure.write_bytes(b"\6\0\0\0\1")
    setup.write_bytes(b"\6\0\0\0\0")
    assert read_secure_boot(efivars) == "enforced"
    secure.write_bytes(b"\6\0\0\0\0")
    assert read_secure_boot(efivars) == "off"
    setup.write_bytes(b"\6\0\0\0\1")
    assert read_secure_boot(efivars) == "setup mode"
    setup.write_bytes(b"")
    secure.write_bytes(b"\1")
    assert read_secure_boot(efivars) == "off"


def test_a_tpm(tmp_path: Path) -> None:
    assert not has_tpm2(tmp_path / "tpmrm")
    (tmp_path / "tpmrm").mkdir()
    assert not has_tpm2(tmp_path / "tpmrm")
    (tmp_path / "tpmrm/tpmrm0").touch()
    assert has_tpm2(tmp_path / "tpmrm")


def test_lines_come_from_any_terminal() -> None:
    pairs = [pty.openpty(), pty.openpty()]
    with open_terminals([Path(os.ttyname(device)) for _, device in pairs]) as terminals:
        assert len(terminals.descriptors) == 2
        os.write(pairs[1][0], b"wrong\x7f\x7f\x7f\x7f\x7fsecond\r")
        assert terminals.read_line(60) == "second"
        os.write(pairs[0][0], b"\x04first \xc3\xbc\n")
        assert (terminals.read_line(60) or "").endswith("first ü")
        os.write(pairs[0][0], b"\xff\n")
        assert terminals.read_line(60) == "�"
        assert terminals.read_line(0.01) is None
        terminals.write("héllo\n")
        for screen, _ in pairs:
            shown = b""
            while "héllo".encode() not in shown:
                shown += os.read(screen, 4096)
    for pair in pairs:
        for descriptor in pair:
            os.close(descriptor)


def test_a_terminal_that_hangs_up_is_left_out() -> None:
    screen, device = pty.openpty()
    with open_terminals([Path(os.ttyname(device))]) as terminals:
        os.close(device)
        os.close(screen)
        began = time.monotonic()
        assert terminals.read_line(0.05) is None
        assert time.monotonic() - began < 60
        assert terminals.descriptors == []
        terminals.write("nobody\n")


def test_what_is_typed_can_be_hidden() -> None:
    screen, device = pty.openpty()
    with open_terminals([Path(os.ttyname(device))], echo=False) as terminals:
        os.write(screen, b"hush\n")
        assert terminals.read_line(60) == "hush"
        assert os.read(screen, 4096).strip() == b""
    os.close(screen)
    os.close(device)
