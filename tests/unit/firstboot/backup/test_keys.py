"""The machine's password and the recovery code: made once, kept, and typed by people."""

from __future__ import annotations

import json
import stat

import pytest

from firstboot.backup.keys import (
    Recovery,
    keep_recovery,
    known_recovery,
    new_recovery,
    present_recovery,
    read_recovery,
    repository_password,
)
from firstboot.base.codes import ALPHABET, new_recovery_code, read_recovery_code
from firstboot.base.errors import MachineError
from firstboot.base.paths import Paths


def test_the_password_is_made_once_and_for_root_only(paths: Paths) -> None:
    password = repository_password(paths)
    assert len(bytes.fromhex(password.decode())) == 32
    assert repository_password(paths) == password
    assert stat.S_IMODE(paths.backup_password.stat().st_mode) == 0o600
    assert stat.S_IMODE(paths.backup.stat().st_mode) == 0o700


def test_two_machines_have_two_passwords(paths: Paths) -> None:
    first = repository_password(paths)
    paths.backup_password.unlink()
    assert repository_password(paths) != first


def test_a_damaged_password_is_not_replaced(paths: Paths) -> None:
    repository_password(paths)
    paths.backup_password.write_text("abc\n")
    with pytest.raises(MachineError, match="does not hold the password"):
        repository_password(paths)
    assert paths.backup_password.read_text() == "abc\n"


def test_a_code_is_read_as_people_type_it() -> None:
    code = new_recovery_code()
    assert [len(group) for group in code.split("-")] == [4] * 7
    assert read_recovery_code(code) == code
    typed = code.upper().replace("-", "  ").replace("0", "O").replace("1", "l")
    assert read_recovery_code(f" {typed}\n") == code
    assert read_recovery_code(code[:-1]) is None
    assert read_recovery_code("") is None


def test_slips_are_told_before_anything_is_tried() -> None:
    code = new_recovery_code()
    for place, right in enumerate(code):
        if right != "-":
            wrong = ALPHABET[(ALPHABET.index(right) + 1) % len(ALPHABET)]
            assert read_recovery_code(code[:place] + wrong + code[place + 1 :]) != code
    wrongs = [code[:5] + letter + code[6:] for letter in ALPHABET if letter != code[5]]
    # A checksum of ten bits lets one of a thousand pass.
    assert sum(read_recovery_code(wrong) is not None for wrong in wrongs) <= 3


def test_the_recovery_code_is_kept(paths: Paths) -> None:
    assert read_recovery(paths) is None
    made = present_recovery(paths)
    assert present_recovery(paths) == made == read_recovery(paths)
    assert not made.confirmed
    assert 1 <= made.group <= 7
    assert len(made.groups) == 7
    assert stat.S_IMODE(paths.recovery_code.stat().st_mode) == 0o600
    assert made.code not in repr(made)


def test_another_one_takes_its_place(paths: Paths) -> None:
    first, second = new_recovery(paths), new_recovery(paths)
    assert first.code != second.code
    assert read_recovery(paths) == second


def test_one_that_was_typed_is_confirmed(paths: Paths) -> None:
    kept = keep_recovery(paths, known_recovery("abcd", new_recovery_code()))
    assert read_recovery(paths) == kept
    assert kept.confirmed


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        json.dumps({"format": 2, "recovery": {}}),
        json.dumps({"format": 1, "recovery": {"kit": "abcd", "code": "abcd"}}),
        json.dumps({"format": 1, "recovery": None}),
    ],
)
def test_what_is_no_recovery_code_is_refused(paths: Paths, content: str) -> None:
    present_recovery(paths)
    paths.recovery_code.write_text(content)
    with pytest.raises(MachineError, match="does not hold a recovery code") as refusal:
        read_recovery(paths)
    assert "backup kit --new" in refusal.value.hint
    assert isinstance(new_recovery(paths), Recovery)
