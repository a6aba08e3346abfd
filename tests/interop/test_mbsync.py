"""mbsync (isync): a whole mailbox both ways, also after both sides changed while apart."""

from __future__ import annotations

import re

import pytest

from tests.interop.conftest import Home
from tests.interop.maildir import flags, messages, with_flags
from tests.interop.messages import Letter
from tests.unit.postmaster.harness import RawImap

TRANSACTION_ID = re.compile(rb"^X-TUID: .*\n", re.MULTILINE)  # which mbsync adds


class Synchronise:
    """A Maildir that mbsync keeps like the server."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.local = home.folder / "mail"
        self.local.mkdir()
        self.config = home.write(
            "mbsyncrc",
            f"""
IMAPAccount server
Host localhost
Port {home.ports["imap"]}
User {home.person}
PassCmd "cat {home.password_file}"
SSLType IMAPS
SystemCertificates no
CertificateFile {home.certificate}

IMAPStore far
Account server

MaildirStore near
Path {self.local}/
Inbox {self.local}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
""",
        )

    def __call__(self) -> None:
        self.home.run("mbsync", "--config", self.config, "--all")

    def folder(self, name: str = "INBOX") -> dict[str, str]:
        """Message-ID and flags of each message."""
        return {
            key: "".join(sorted(flags(path))) for key, path in messages(self.local / name).items()
        }


@pytest.fixture
def synchronise(home: Home) -> Synchronise:
    """mbsync, set up for a mailbox and an empty Maildir."""
    return Synchronise(home)


def test_a_mailbox_is_fetched_byte_for_byte(synchronise: Synchronise, mail: list[Letter]) -> None:
    synchronise()
    found = messages(synchronise.local / "INBOX")
    assert found.keys() == {letter.id for letter in mail}
    for letter in mail:
        received = TRANSACTION_ID.sub(b"", found[letter.id].read_bytes(), count=1)
        assert received == letter.raw.replace(b"\r\n", b"\n")
    assert {path.name for path in synchronise.local.iterdir()} >= {"Sent", "Drafts", "Trash"}


def test_changes_go_both_ways(synchronise: Synchronise, few: list[Letter], server: RawImap) -> None:
    synchronise()
    found = messages(synchronise.local / "INBOX")
    with_flags(found[few[0].id], "FS")
    moved = found[few[1].id]
    moved.rename(synchronise.local / "Archive" / "new" / "moved-by-hand")
    server.ok("SELECT INBOX")
    server.ok(r"UID STORE 3 +FLAGS.SILENT (\Answered)")
    server.ok(r"UID MOVE 4 Trash")
    server.ok(r"UID STORE 5 +FLAGS.SILENT (\Deleted)")
    server.ok("EXPUNGE")
    new = Letter("<new@example.org>", b"Message-ID: <new@example.org>\r\n\r\nnew\r\n")
    server.append(new.raw)
    synchronise()
    inbox = synchronise.folder()
    assert inbox.keys() == {new.id, *(letter.id for letter in few)} - {
        few[1].id,
        few[3].id,
        few[4].id,
    }
    assert "R" in inbox[few[2].id]
    assert synchronise.folder("Archive").keys() == {few[1].id}
    assert synchronise.folder("Trash").keys() == {few[3].id}
    (line,) = server.ok("UID FETCH 1 FLAGS")[-1:]
    assert b"\\Flagged" in line
    assert b"\\Seen" in line
    assert server.ok("STATUS Archive (MESSAGES)") == [b'* STATUS "Archive" (MESSAGES 1)']
    before = {
        path: path.stat().st_mtime_ns for path in messages(synchronise.local / "INBOX").values()
    }
    synchronise()  # nothing is left to do
    after = {
        path: path.stat().st_mtime_ns for path in messages(synchronise.local / "INBOX").values()
    }
    assert after == before


def test_a_folder_made_by_the_client(synchronise: Synchronise, server: RawImap) -> None:
    synchronise()
    for part in ("cur", "new", "tmp"):
        (synchronise.local / "Reisen" / part).mkdir(parents=True)
    (synchronise.local / "Reisen" / "new" / "one").write_bytes(b"Message-ID: <1@x.example>\n\nhi\n")
    synchronise()
    assert server.ok("STATUS Reisen (MESSAGES)") == [b'* STATUS "Reisen" (MESSAGES 1)']
