"""How exposed each of our units is, by systemd's own measure, and what the kernel offers.

The ceilings are those of systemd 252 to 259, which differ by a few tenths. A unit without a row is
new: look at what it can do without, and give it one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from firstboot.base.run import run

EXTRA = Path(__file__).parents[2] / "images/appliance/mkosi.extra"
UNITS = EXTRA / "usr/lib/systemd/system"
SYSCTL = EXTRA / "usr/lib/sysctl.d/60-mailstead.conf"

# From 0 (all but nothing to attack) to 10. What a unit does sets how far down it can come.
CEILINGS = {
    # Mounts volumes, makes keys for the disk, gives the machine its name.
    "mailstead-boot.service": 7.5,
    # Writes the boot loader, slots, and the EFI system partition.
    "mailstead-boot-loader.service": 7.5,
    "mailstead-update.service": 7.5,
    # The menu behind them does what its owner may do.
    "mailstead-console@x.service": 7.5,
    "mailstead-ssh.service": 7.5,
    # Restarts the machine when nothing else works: it has to work itself.
    "mailstead-give-up.service": 7.5,
    # Mounts a disk for backups, and reads what belongs to all users of the services.
    "mailstead-backup.service": 5.7,
    "mailstead-settle.service": 5.2,
    # Changes the settings and asks the engine, for the web pages.
    "mailstead-administration.service": 3.8,
    # Talk to the engine only.
    "mailstead-start.service": 3.8,
    "mailstead-gate.service": 3.8,
    "mailstead-recovery-key.service": 3.1,
    "mailstead-watchdog.service": 3.1,
    # Open to the network while the machine is set up.
    "mailstead-web-setup.service": 2.8,
}
# With what all units get from mailstead-.service.d.
NEW_UNIT = 7.5


def exposure(unit: str) -> float:
    """The exposure of a unit with its drop-ins, in a tree that holds nothing else."""
    argv = ["systemd-analyze", "security", "--offline=yes", "--no-pager", f"--root={EXTRA}", unit]
    shown = run(argv, timeout=300).stdout
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", shown)
    assert found, shown
    return float(found[1])


def units() -> list[str]:
    return sorted(path.name.replace("@.", "@x.") for path in UNITS.glob("mailstead-*.service"))


@pytest.mark.parametrize("unit", units())
def test_a_unit_is_no_more_exposed_than_it_has_to_be(unit: str) -> None:
    assert exposure(unit) <= CEILINGS.get(unit, NEW_UNIT)


def test_every_row_is_a_unit() -> None:
    assert set(CEILINGS) <= set(units())


def test_the_measure_sees_what_all_units_share(tmp_path: Path) -> None:
    """Without the drop-in the same unit is worse, so the numbers above are about something."""
    alone = tmp_path / "usr/lib/systemd/system/mailstead-update.service"
    alone.parent.mkdir(parents=True)
    alone.write_text((UNITS / alone.name).read_text())
    argv = ["systemd-analyze", "security", "--offline=yes", "--json=short", f"--root={tmp_path}"]
    shown = run([*argv, alone.name], timeout=300).stdout
    set_ = {row["json_field"] for row in json.loads(shown) if row.get("set")}
    assert "NoNewPrivileges" not in set_
    assert exposure("mailstead-update.service") < 8


def test_every_kernel_setting_has_its_reason() -> None:
    """Blocks of settings, each below a comment; no name twice."""
    blocks = SYSCTL.read_text().strip().split("\n\n")
    names = []
    for block in blocks[1:]:
        lines = block.splitlines()
        settings = [line for line in lines if not line.startswith("#")]
        assert lines[0].startswith("# ")
        assert settings
        for line in settings:
            assert re.fullmatch(r"-?[a-z0-9_.]+ = \S.*", line)
            names.append(line.split(" = ")[0].lstrip("-"))
    assert len(set(names)) == len(names)
    assert "net.ipv4.ip_forward" not in names, "Docker sets it"
