"""The recovery kit on paper, read and scanned by programs that others wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from firstboot.backup import engine, kit_commands
from firstboot.backup.keys import Recovery, present_recovery
from firstboot.backup.kit import Opening
from firstboot.backup.kitpage import Kit, kit_pdf
from firstboot.backup.pdf import BOLD, FIXED, PLAIN, Page, text_width, wrap
from firstboot.base.codes import new_recovery_code
from firstboot.base.run import run
from firstboot.system.qr import qr_modules
from tests.unit.firstboot.backup.appliance import LABEL, Appliance
from tests.unit.firstboot.conftest import FakePrograms

RECOVERY = Recovery("abcd", new_recovery_code(), "2026-11-24T10:00:00+00:00", 3)
HOME = Opening("home", "sftp:me@backup.example.com:/mail")
LATER = Opening("cloud", "s3:https://s3.example.com/bucket", "it cannot be reached (yet)")
BOX = re.compile(r'<word xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">')


def write_page(
    folder: Path, openings: Sequence[Opening], hostname: str = "mail.example.com"
) -> Path:
    file = folder / "kit.pdf"
    kit = Kit(hostname, RECOVERY, openings, qr_modules(RECOVERY.code), "2026-11-30")
    file.write_bytes(kit_pdf(kit))
    return file


def read_page(file: Path) -> str:
    """Its text, one blank between words; what a reader complains of is an error here."""
    done = run(["pdftotext", "-layout", file, "-"], timeout=300)
    assert done.stderr == ""
    assert done.stdout.count("\f") == 1, "it is one page"
    return " ".join(done.stdout.split())


def scan(file: Path, folder: Path) -> str:
    run(["pdftoppm", "-r", "100", "-gray", "-singlefile", file, folder / "page"], timeout=300)
    return run(["zbarimg", "--quiet", "--raw", folder / "page.pgm"], timeout=300).stdout.strip()


def test_a_reader_finds_all_that_an_owner_needs(tmp_path: Path) -> None:
    text = read_page(write_page(tmp_path, [HOME, LATER]))
    for group in RECOVERY.groups:
        assert group in text
    for wanted in ("mail.example.com", "kit abcd", "code of 2026-11-24", "page of 2026-11-30"):
        assert wanted in text
    assert HOME.repository in text
    assert LATER.repository in text
    assert text.count(f"NOT OPENED BY THIS CODE YET: {LATER.problem}") == 1
    assert "Restore from a backup" in text
    assert "restic restore latest --target mailserver" in text
    assert "which this page does not replace" in text


def test_a_scanner_reads_the_code(tmp_path: Path) -> None:
    assert scan(write_page(tmp_path, [HOME]), tmp_path) == RECOVERY.code


@pytest.mark.parametrize("places", [0, 1, 3, 40])
@pytest.mark.parametrize("hostname", ["a.example", f"{'mail' * 15}.{'b' * 60}.{'c' * 60}.example"])
def test_all_of_it_lies_within_the_margins(places: int, hostname: str, tmp_path: Path) -> None:
    long = [
        Opening(f"place-{n}", f"rest:https://backup.example.com/{'folder/' * 25}{n}", "later, " * 9)
        for n in range(places)
    ]
    file = write_page(tmp_path, long, hostname)
    boxes = run(["pdftotext", "-bbox", file, "-"], timeout=300).stdout
    found = [tuple(map(float, box)) for box in BOX.findall(boxes)]
    assert len(found) > 100
    assert min(left for left, _, _, _ in found) >= 49
    assert max(right for _, _, right, _ in found) <= 547
    assert max(low for _, _, _, low in found) <= 842 - 36
    text = read_page(file)
    assert "(mail/mailstore/vaults)" in text, "the last line is there"
    shown = text.count("rest:https://") - text.count("RESTIC_REPOSITORY='rest:")
    more = re.search(r"and (\d+) more", text)
    assert shown + (int(more[1]) if more else 0) == places


def test_the_command_writes_it_for_root_only(
    appliance: Appliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = appliance.machine()
    monkeypatch.setattr("firstboot.base.paths.Paths", lambda: appliance.paths)
    monkeypatch.setattr(engine, "read_machine", lambda _paths: machine)
    file = tmp_path / "kit.pdf"
    done = CliRunner().invoke(kit_commands.kit, ["--pdf", str(file)])
    assert done.exit_code == 0, done.exception
    assert file.stat().st_mode & 0o777 == 0o600
    code = present_recovery(appliance.paths).code
    assert code not in done.stdout
    assert scan(file, tmp_path) == code
    assert f"disk:{LABEL}" in read_page(file)


def test_a_stick_gets_both_forms(appliance: Appliance, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = appliance.machine()
    monkeypatch.setattr("firstboot.base.paths.Paths", lambda: appliance.paths)
    monkeypatch.setattr(engine, "read_machine", lambda _paths: machine)
    done = CliRunner().invoke(kit_commands.kit, ["--stick", LABEL])
    assert done.exit_code == 0, done.exception
    written = {file.name for file in appliance.disk.glob("mailstead-*.*")}
    assert written == {"mailstead-recovery-kit.pdf", "mailstead-recovery-kit.txt"}
    code = present_recovery(appliance.paths).code
    assert code in (appliance.disk / "mailstead-recovery-kit.txt").read_text()
    assert "MAILSTEAD" not in read_page(appliance.disk / "mailstead-recovery-kit.pdf")


def test_no_kit_is_written_where_everybody_can_read_it(
    appliance: Appliance, programs: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = appliance.machine()
    monkeypatch.setattr("firstboot.base.paths.Paths", lambda: appliance.paths)
    monkeypatch.setattr(engine, "read_machine", lambda _paths: machine)
    esp = {"label": "ESP", "parttype": "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "fstype": "vfat"}
    programs.lsblk({"path": "/dev/sda1", "mountpoint": str(appliance.disk), **esp})
    done = CliRunner().invoke(kit_commands.kit, ["--stick", "ESP"])
    assert "no disk labelled ESP" in str(done.exception)
    assert not list(appliance.disk.glob("mailstead-recovery-kit.*"))


@pytest.mark.parametrize("font", [PLAIN, BOLD, FIXED])
def test_widths_are_those_of_a_reader(font: str, tmp_path: Path) -> None:
    # A blank at each end would not be in the word; all else is.
    letters = "".join(map(chr, range(0x21, 0x7F)))
    for text in (letters[:47], letters[47:]):
        page = Page("widths")
        page.text(20, 100, text, font=font, size=8)
        (tmp_path / "page.pdf").write_bytes(page.dump())
        boxes = run(["pdftotext", "-bbox", tmp_path / "page.pdf", "-"], timeout=300).stdout
        found = [tuple(map(float, box)) for box in BOX.findall(boxes)]
        assert len(found) == 1
        assert found[0][2] - found[0][0] == pytest.approx(
            text_width(text, font=font, size=8), abs=0.1
        )


@given(
    text=st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Zs")), max_size=300),
    width=st.floats(20, 500),
    font=st.sampled_from([PLAIN, BOLD, FIXED]),
)
def test_wrapping_loses_nothing_and_stays_within(text: str, width: float, font: str) -> None:
    lines = wrap(text, width=width, font=font, size=9)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(text_width(line, font=font, size=9) <= width for line in lines)
