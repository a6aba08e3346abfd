"""A staged restore is put in place whole, wherever the power goes on the way."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from firstboot.backup.plan import Plan, read_plan, write_plan
from firstboot.backup.putting import put_in_place, restore_waiting
from firstboot.base.errors import MachineError, ReleaseError
from firstboot.base.paths import Paths
from firstboot.base.state import STATE_FORMAT, claim_state, read_state_format

PUT = ("mail/secrets", "mail/mailstore", "mail/dkim", "ssh", "settings.yaml")
REMOVE = ("mail/mailstore.lock",)
OLD = {
    "settings.yaml": "old settings",
    "mail/secrets/canary_password": "old secret",
    "mail/mailstore/vaults/a.vault": "old mail",
    "mail/mailstore/vaults/gone.vault": "somebody who is not in the backup",
    "mail/mailstore.lock": "in the way",
    "mail/tls/key.pem": "stays",
    "disk.json": "stays, too",
}
NEW = {
    "settings.yaml": "new settings",
    "mail/secrets/canary_password": "new secret",
    "mail/mailstore/vaults/a.vault": "new mail",
    "mail/mailstore/spool/a/1.sealed": "sealed",
    "mail/dkim/example.com/m.pem": "key",
    "ssh/key": "ssh",
}
AFTER = {**NEW, "mail/tls/key.pem": "stays", "disk.json": "stays, too"}


class PowerCutError(BaseException):
    """Nobody may catch it."""


def fill(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def files_of(paths: Paths) -> dict[str, str]:
    """All files of the state but its format."""
    root = paths.state_partition
    found = {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file()}
    return {name: path.read_text() for name, path in found.items() if name != "format"}


def prepare(paths: Paths, *, state_format: int = STATE_FORMAT, put: tuple[str, ...] = PUT) -> None:
    claim_state(paths.state_format)
    fill(paths.state_partition, OLD)
    fill(paths.staging, NEW)
    plan = Plan("0" * 64, "2026-11-24T10:00:00Z", "everything", state_format, put, REMOVE)
    write_plan(paths, plan)


def test_a_restore_replaces_what_it_names_and_nothing_else(paths: Paths) -> None:
    prepare(paths)
    plan = put_in_place(paths)
    assert plan is not None
    assert plan.what == "everything"
    assert files_of(paths) == AFTER
    assert not paths.restore.exists()
    assert put_in_place(paths) is None
    assert files_of(paths) == AFTER


def test_what_was_restored_is_said(paths: Paths) -> None:
    assert restore_waiting(paths) == ""
    prepare(paths)
    assert restore_waiting(paths) == "everything, from the backup of 2026-11-24T10:00:00"
    assert restore_waiting(paths) == ""


def test_an_empty_machine_takes_all(paths: Paths) -> None:
    prepare(paths)
    for name in OLD:
        (paths.state_partition / name).unlink()
    shutil.rmtree(paths.state)
    (paths.staging / "mail").chmod(0o711)
    put_in_place(paths)
    assert files_of(paths) == NEW
    assert paths.state.stat().st_mode & 0o777 == 0o711


def test_settings_that_are_not_restored_come_back(paths: Paths) -> None:
    prepare(paths, put=("mail/secrets",))
    put_in_place(paths)
    kept = files_of(paths)
    assert kept["settings.yaml"] == "old settings"
    assert kept["mail/secrets/canary_password"] == "new secret"
    assert kept["mail/mailstore/vaults/a.vault"] == "old mail"


def cut_at(step: int, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Run until the power goes before the step-th change of the disk; True when it did not."""
    left = [step]

    def counting(name: str) -> None:
        real = getattr(os, name)

        def change(*args: object, **kwargs: object) -> object:
            if left[0] == 0:
                raise PowerCutError
            left[0] -= 1
            return real(*args, **kwargs)

        patched.setattr(os, name, change)

    with monkeypatch.context() as patched:
        for name in ("rename", "replace", "unlink", "mkdir", "rmdir", "open", "chmod"):
            counting(name)
        try:
            put_in_place(paths)
        except PowerCutError:
            return False
    return True


def test_power_cuts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen_half = 0
    for step in range(500):
        paths = Paths.below(tmp_path / str(step))
        paths.state_partition.mkdir(parents=True)
        prepare(paths)
        whole = cut_at(step, paths, monkeypatch)
        between = files_of(paths)
        if not whole and read_plan(paths) and between.get("settings.yaml") == "new settings":
            assert {name: between[name] for name in NEW} == NEW
        if "settings.yaml" not in between:
            seen_half += 1
        elif between["settings.yaml"] == "old settings":
            assert {name: between[name] for name in OLD} == OLD
        put_in_place(paths)
        assert files_of(paths) == AFTER, f"cut at step {step}"
        assert not paths.restored_over.exists()
        if whole:
            break
    assert whole
    assert step > 30
    assert seen_half > 5


def test_a_second_cut_in_the_same_restore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for first in range(0, 60, 7):
        for second in range(0, 60, 9):
            paths = Paths.below(tmp_path / f"{first}-{second}")
            paths.state_partition.mkdir(parents=True)
            prepare(paths)
            cut_at(first, paths, monkeypatch)
            cut_at(second, paths, monkeypatch)
            put_in_place(paths)
            assert files_of(paths) == AFTER


def test_what_an_older_release_made_in_between_does_not_disturb(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(paths)
    for step in range(30):
        cut_at(step, paths, monkeypatch)
        if not paths.settings.exists() and not (paths.state / "mailstore").exists():
            break
    assert not paths.settings.exists()
    fill(paths.state_partition, {"mail/mailstore/vaults/a.vault": "another", "settings.yaml": "x"})
    put_in_place(paths)
    assert files_of(paths) == AFTER


@pytest.mark.parametrize("state_format", [STATE_FORMAT - 2, STATE_FORMAT + 2])
def test_a_release_that_cannot_read_it_changes_nothing(paths: Paths, state_format: int) -> None:
    prepare(paths, state_format=state_format)
    before = files_of(paths)
    with pytest.raises(ReleaseError, match=f"has format {state_format}") as refusal:
        put_in_place(paths)
    assert "release that made the backup" in refusal.value.hint
    assert files_of(paths) == before


@pytest.mark.parametrize("state_format", [STATE_FORMAT - 1, STATE_FORMAT, STATE_FORMAT + 1])
def test_neighbours_are_restored_and_the_number_never_falls(
    paths: Paths, state_format: int
) -> None:
    prepare(paths, state_format=state_format)
    put_in_place(paths)
    assert read_state_format(paths.state_format) == max(state_format, STATE_FORMAT)


@pytest.mark.parametrize("path", ["/etc/passwd", "../etc", "mail/../../etc", ""])
def test_a_plan_leads_nowhere_else(paths: Paths, path: str) -> None:
    prepare(paths)
    text = paths.restore_plan.read_text().replace('"mail/secrets"', f'"{path}"')
    paths.restore_plan.write_text(text)
    with pytest.raises(MachineError, match="is not a plan"):
        read_plan(paths)


def test_a_plan_of_another_format_is_refused(paths: Paths) -> None:
    prepare(paths)
    text = paths.restore_plan.read_text().replace('"format": 1', '"format": 2')
    paths.restore_plan.write_text(text)
    with pytest.raises(MachineError, match="is not a plan"):
        put_in_place(paths)


def test_a_beginning_of_a_restore_stays_for_the_next_try(paths: Paths) -> None:
    fill(paths.staging, {"mail/secrets/a": "begun"})
    assert put_in_place(paths) is None
    assert (paths.staging / "mail/secrets/a").read_text() == "begun"
