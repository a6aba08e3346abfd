"""A mail folder out of a real backup, put back by the mail store while its person is logged in."""

from __future__ import annotations

import imaplib
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from firstboot.backup.capture import staged
from firstboot.backup.folder import Wanted, restore_folder
from firstboot.backup.keys import repository_password
from firstboot.base.paths import Paths
from firstboot.base.state import claim_state
from firstboot.base.waiting import wait_for
from firstboot.system.restic import Restic, Snapshot
from tests.stack.boxes import Boxes
from tests.stack.mail import Mail
from tests.stack.messages import new_mark, with_body
from tests.stack.people import GRACE
from tests.stack.plaintext import files_with, spellings
from tests.unit.firstboot.repositories import make_repository
from tools.stack.lifecycle import StackUp

FOLDER, CODED = "Projects/Übung", "Projects/&ANw-bung"
COUNT, LOST = 24, 16


@pytest.fixture
def paths(stack: StackUp, tmp_path: Path) -> Iterator[Paths]:
    """The places of an appliance around the mail that the containers keep."""
    root = stack.home.folder / "partition"
    root.mkdir()
    (root / "mail").symlink_to(stack.home.state)
    paths = replace(Paths.below(tmp_path), state_partition=root, state=root / "mail")
    claim_state(paths.state_format)
    (root / "settings.yaml").write_text("version: 1\n")
    yield paths
    shutil.rmtree(root)


@pytest.fixture
def restic(paths: Paths, tmp_path: Path) -> Restic:
    """An empty repository that this machine's password opens."""
    make_repository(tmp_path / "repository", {"machine": repository_password(paths)})
    location = tmp_path / "location"
    location.write_text(str(tmp_path / "repository"))
    return Restic(location, repository_password(paths), tmp_path)


def back_up(paths: Paths, restic: Restic) -> Snapshot:
    with staged(paths) as folder:
        restic.backup(folder, host="mail.example.com")
    return restic.snapshots()[-1]


def messages(imap: imaplib.IMAP4, folder: str) -> list[tuple[bytes, str]]:
    """Each message of a folder with its flags; none where there is no folder."""
    if imap.select(f'"{folder}"', readonly=True)[0] != "OK":
        return []
    found = imap.fetch("1:*", "(FLAGS BODY.PEEK[])")[1]
    parts = [part for part in found if isinstance(part, tuple)]
    flags = (re.search(rb"FLAGS \(([^)]*)\)", head) for head, _ in parts)
    return [
        (raw, " ".join(sorted(f[1].decode().replace("\\Recent", "").split())) if f else "")
        for f, (_, raw) in zip(flags, parts, strict=True)
    ]


def fill(imap: imaplib.IMAP4, raws: Sequence[bytes]) -> None:
    assert imap.create(f'"{CODED}"')[0] == "OK"
    for raw in raws:
        assert imap.append(f'"{CODED}"', r"(\Seen)", "", raw)[0] == "OK"


def test_a_folder_comes_back_at_a_login(
    stack: StackUp, mail: Mail, all_well: Boxes, paths: Paths, restic: Restic
) -> None:
    """Also when the mail store is killed on the way; nothing of it is ever in clear on the disk."""
    mark = new_mark()
    raws = [
        with_body(f"{mark}.{number}", f"secret words {number}\r\n".encode() * 20_000)
        for number in range(COUNT)
    ]
    newer = with_body(f"{mark}.newer", b"since the backup\r\n")
    with mail.imap(GRACE) as imap:
        fill(imap, raws)
        snapshot = back_up(paths, restic)  # while the vault is open
        imap.select(f'"{CODED}"')
        imap.store(f"1:{LOST}", "+FLAGS", r"(\Deleted)")
        imap.expunge()
        assert imap.append(f'"{CODED}"', "", "", newer)[0] == "OK"
    wanted = Wanted(GRACE.address, FOLDER)
    target = restore_folder(restic, snapshot, paths, wanted)
    restored = stack.home.state / "mailstore/restored"
    assert len(list(restored.iterdir())) == 1
    assert target == f"{FOLDER} (restored {snapshot.time[:10]})"
    with mail.imap(GRACE):
        all_well.kill("mailstore")
    all_well.mend()
    with mail.imap(GRACE) as imap:
        wait_for(lambda: not list(restored.iterdir()), what="the folder", timeout=120, interval=0.2)
        assert [raw for raw, _ in messages(imap, CODED)] == [*raws[LOST:], newer]
        found = messages(imap, f"{CODED} (restored {snapshot.time[:10]})")
        assert sorted(found) == sorted((raw, r"\Seen") for raw in raws[:LOST])
        imap.select("INBOX")
        (numbers,) = imap.search(None, "TEXT", '"had 24 messages"')[1]
        assert len(numbers.split()) == 1
        words = spellings(b"secret words")
        assert list(files_with(stack.home.state, words)) == []
    # What is there already does not come twice, whoever asks for it.
    restore_folder(restic, snapshot, paths, wanted)
    with mail.imap(GRACE) as imap:
        wait_for(lambda: not list(restored.iterdir()), what="the folder", timeout=120, interval=0.2)
        assert len(messages(imap, f"{CODED} (restored {snapshot.time[:10]})")) == LOST
