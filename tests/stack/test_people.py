"""People see their own mail and nothing of each other's; on the disk, nobody sees anything."""

from __future__ import annotations

import imaplib
import re
from pathlib import Path

import pytest

from firstboot.base.waiting import wait_for
from tests.stack.boxes import Boxes
from tests.stack.mail import Mail, find
from tests.stack.messages import new_mark, ordinary, with_body
from tests.stack.people import GRACE, VERA
from tests.stack.plaintext import files_with, spellings, words_in
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
    """Neither the words of a mail nor its parts stand in any file that the containers keep.

    Nor in the engine's store: layers, logs, descriptions; nor in temporary files. Neither while the
    mail is sealed for a locked vault, nor while the vault is open.
    """
    vaults, spool = stack.home.state / "mailstore/vaults", stack.home.state / "mailstore/spool"
    mark = new_mark()
    body = f"secret body {mark}\r\n".encode()
    message = with_body(mark, body, subject=f"secret subject {mark}")
    before = set(spool.rglob("*.sealed"))
    mail.send(ADA, VERA.address, message)
    wait_for(lambda: boxes.queue() == 0, what="an empty queue", timeout=120, interval=0.1)
    assert set(spool.rglob("*.sealed")) - before
    words = spellings(b"secret subject") | spellings(b"secret body")
    _look_for(stack, boxes, words, mark.encode())
    with mail.imap(VERA) as imap:
        assert any(mark.encode() in found for found in find(imap, mark))
        assert list(vaults.glob("*-wal"))
        assert imap.search(None, "TEXT", '"secret body"')[1][0].split()
        _look_for(stack, boxes, words, mark.encode())
    headings = (b"SQLite format 3", b"Message-ID")
    assert list(vaults.glob("*.vault"))
    assert list(files_with(vaults, headings)) == []


def _look_for(stack: StackUp, boxes: Boxes, words: set[bytes], mark: bytes) -> None:
    """`mark` is in the Message-ID, too, which Postfix logs; it may be in no file."""
    assert list(files_with(stack.home.state, words | spellings(mark))) == []
    store = Path(boxes.api.info()["DockerRootDir"]) / "containers"
    for service, container in boxes.ids.items():
        written: bytes = boxes.api.logs(container)
        assert [word for word in words if word in written] == [], service
        assert (store / container).is_dir()
        assert list(files_with(store / container, words)) == []
        everywhere = words | spellings(mark)
        for folder in boxes.inspect(service)["HostConfig"]["Tmpfs"] or {}:
            assert list(files_with(boxes.root(service) / folder.lstrip("/"), everywhere)) == []
        assert list(words_in(boxes.changed_files(service), everywhere)) == []


@pytest.mark.parametrize("service", ["mailstore", "directory", "dav"])
def test_nothing_in_memory_reaches_a_disk(boxes: Boxes, service: str) -> None:
    """What keeps keys or mail in memory is never dumped (core(5)) and never swapped."""
    box = boxes.inspect(service)
    pid = box["State"]["Pid"]
    limits = Path(f"/proc/{pid}/limits").read_text(encoding="utf-8")
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
    # A pattern that pipes to a program does not look at the limit. What is not dumpable belongs to
    # root (proc(5)), whoever the process runs as.
    assert Path(f"/proc/{pid}/mem").stat().st_uid == 0
    status = boxes.process_status(service)
    assert status["Uid"].split()[0] != "0"
    assert status["VmSwap"].split()[0] == "0"
    assert box["HostConfig"]["MemorySwap"] == box["HostConfig"]["Memory"] > 0
