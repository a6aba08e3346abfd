"""The format of the state: read from a file, claimed by a release, refused where it is too far."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstboot.base.errors import ReleaseError
from firstboot.base.state import STATE_FORMAT, claim_state, read_state_format


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Not there yet."""
    return tmp_path / "format"


def test_state_without_the_file_has_the_first_format(file: Path) -> None:
    assert read_state_format(file) == 1
    assert not file.exists()


@pytest.mark.parametrize(("text", "number"), [("1\n", 1), ("12", 12), (" 3 \n", 3)])
def test_the_file_is_one_number(file: Path, text: str, number: int) -> None:
    file.write_text(text)
    assert read_state_format(file) == number


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"-1", b"1.0", b"one", b"1 2", b"\xff", "\u00b2".encode(), bytes(4)]
)
def test_what_is_no_number_is_told(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(ReleaseError, match=f"{file} does not say which format") as caught:
        read_state_format(file)
    assert caught.value.hint
    with pytest.raises(ReleaseError):
        claim_state(file)
    assert file.read_bytes() == content


def test_what_cannot_be_read_is_told(file: Path) -> None:
    file.mkdir()
    with pytest.raises(ReleaseError, match="does not say"):
        read_state_format(file)


def test_a_release_claims_new_state(file: Path) -> None:
    claim_state(file)
    assert file.read_text() == f"{STATE_FORMAT}\n"
    assert read_state_format(file) == STATE_FORMAT


@pytest.mark.parametrize("found", [STATE_FORMAT - 1, STATE_FORMAT + 1])
def test_a_release_takes_over_from_its_neighbours(file: Path, found: int) -> None:
    file.write_text(f"{found}\n")
    claim_state(file)
    assert read_state_format(file) == max(found, STATE_FORMAT)


def test_what_is_claimed_already_is_not_written_again(file: Path) -> None:
    claim_state(file)
    before = file.stat()
    claim_state(file)
    after = file.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("found", [STATE_FORMAT + 2, STATE_FORMAT + 99])
def test_state_from_too_far_is_refused_and_left_alone(file: Path, found: int) -> None:
    file.write_text(f"{found}\n")
    with pytest.raises(ReleaseError, match=f"the state has format {found}, this") as caught:
        claim_state(file)
    assert caught.value.hint
    assert file.read_text() == f"{found}\n"
