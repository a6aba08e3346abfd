"""People see their own mail and nothing of each other's; on the disk, nobody sees anything."""

from __future__ import annotations

import base64
import imaplib
from pathlib import Path

import pytest

from firstboot.base.waiting import wait_for
from tests.stack.boxes import Boxes
from tests.stack.mail import Mail, find
from tests.stack.messages import new_mark, ordinary, with_body
from tests.stack.people import GRACE
from tools.stack.example import ADA
from tools.stack.lifecycle import StackUp


def test_two_people_are_apart(mail: Mail) -> None:
    to_ada, to_grace = new_mark(), new_mark()
    mail.send(GRACE, ADA.address, ordinary(to_ada, sender=GRACE.address))
    mail.send(ADA, GRACE.address, ordinary(to_grace))
    mail.fetch(ADA, to_ada)
    mail.fetch(GRACE, to_grace)
    assert (mail.count(GRACE, to_ada), mail.count(ADA, to_grace)) == (0, 0)
    with mail.imap_connection() as imap, pytest.raises(imaplib.IMAP4.error):
        imap.login(ADA.address, mail.password(GRACE))


def test_folders_are_apart(mail: Mail) -> None:
    name = new_mark()
    with mail.imap(ADA) as ada, mail.imap(GRACE) as grace:
        assert ada.create(name)[0] == "OK"
        assert name in str(ada.list())
        assert name not in str(grace.list())
        assert grace.select(name)[0] == "NO"


def test_no_plaintext_on_the_disk(stack: StackUp, mail: Mail, boxes: Boxes) -> None:
    """Neither the words of a mail nor whose it is stand in any file that the containers keep.

    Neither while it is sealed for a locked vault, nor while the vault is open.
    """
    vaults, spool = stack.home.state / "mailstore/vaults", stack.home.state / "mailstore/spool"
    wait_for(
        lambda: not list(vaults.glob("*-wal")),
        what="all vaults to be locked",
        timeout=90,
        interval=1,
    )
    mark = new_mark()
    body = f"secret body {mark}\r\n".encode()
    message = with_body(mark, body, subject=f"secret subject {mark}")
    mail.send(ADA, GRACE.address, message)
    wait_for(lambda: boxes.queue() == 0, what="an empty queue", timeout=30, interval=0.1)
    assert list(spool.rglob("*.sealed"))
    needles = _forms(mark.encode()) | _forms(b"secret subject") | _forms(b"secret body")
    _search(stack, needles)
    with mail.imap(GRACE) as imap:
        assert any(mark.encode() in found for found in find(imap, mark))
        assert list(vaults.glob("*-wal"))
        _search(stack, needles)
    for vault in vaults.iterdir():
        assert b"SQLite format 3" not in vault.read_bytes(), vault
        assert b"Message-ID" not in vault.read_bytes(), vault


def _search(stack: StackUp, needles: set[bytes]) -> None:
    files = _files(stack.home.state)
    assert files
    for path in files:
        content = path.read_bytes()
        assert not [needle for needle in needles if needle in content], path


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def _forms(text: bytes) -> set[bytes]:
    """A text as it would be read, and in its other usual spellings."""
    middle = {base64.b64encode(b"x" * shift + text)[4:-4] for shift in range(3)}
    return {text, text.hex().encode(), text.decode().encode("utf-16-le"), *middle}
