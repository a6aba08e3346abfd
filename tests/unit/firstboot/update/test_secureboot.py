"""Whose programs the firmware starts, from variables as it may write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstboot.system.secureboot import DATABASE_VENDOR, carries, trusted_certificates
from tests.unit.firstboot.update.conftest import signature_list

SHA256 = "2616c4c14c509240aca941f936934328"
ATTRIBUTES = b"\x27\0\0\0"


def trusted(efivars: Path, data: bytes) -> tuple[bytes, ...]:
    (efivars / f"db-{DATABASE_VENDOR}").write_bytes(data)
    return trusted_certificates(efivars)


def test_all_certificates_in_db(tmp_path: Path) -> None:
    data = b"".join(
        (
            signature_list(b"ours"),
            signature_list(b"\0" * 32, kind=SHA256),
            signature_list(b"first", b"other", header=b"header"),
        )
    )
    assert trusted(tmp_path, ATTRIBUTES + data) == (b"ours", b"first", b"other")


def test_no_db(tmp_path: Path) -> None:
    assert trusted_certificates(tmp_path) == ()


@pytest.mark.parametrize(
    "spoilt",
    [
        b"",
        b"\xff" * 100,
        # A list that is empty, one that ends too early, sizes of 0, entries without a content.
        signature_list(b"other")[:28],
        signature_list(b"other")[:-1],
        signature_list(b"other")[:16] + bytes(40),
        signature_list(b""),
        # Entries longer than their list, a header longer than the list.
        signature_list(b"other")[:24] + b"\xff\xff\0\0" + bytes(21),
        signature_list(b"other")[:20] + b"\xff\xff\0\0" + signature_list(b"other")[24:],
    ],
)
def test_spoilt_db(tmp_path: Path, spoilt: bytes) -> None:
    assert trusted(tmp_path, ATTRIBUTES + signature_list(b"ours") + spoilt) == (b"ours",)
    assert trusted(tmp_path, spoilt[:3]) == ()


def test_certificate_in_a_program(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"MZ code, signed: ours")
    assert carries(program, (b"other", b"ours"))
    assert not carries(program, (b"other",))
    assert not carries(program, ())
