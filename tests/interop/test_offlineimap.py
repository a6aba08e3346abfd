"""offlineimap3: a mailbox both ways, also over a compressed connection."""

from __future__ import annotations

import pytest

from tests.interop.conftest import Home
from tests.interop.maildir import flags, messages, with_flags
from tests.interop.messages import Letter
from tests.unit.postmaster.harness import RawImap


@pytest.mark.parametrize("compression", ["no", "yes"])
def test_a_mailbox_both_ways(
    home: Home, few: list[Letter], server: RawImap, compression: str
) -> None:
    local = home.folder / "mail"
    config = home.write(
        "offlineimaprc",
        f"""
[general]
accounts = test
metadata = {home.folder}/metadata
[Account test]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {local}
[Repository far]
type = IMAP
remotehost = localhost
remoteport = {home.ports["imap"]}
remoteuser = {home.person}
remotepassfile = {home.password_file}
ssl = yes
usecompression = {compression}
sslcacertfile = {home.certificate}
""",
    )

    def synchronise() -> None:
        home.run("offlineimap", "-c", config, "-o", "-u", "basic")

    synchronise()
    found = messages(local / "INBOX")
    assert found.keys() == {letter.id for letter in few}
    for letter in few:
        assert found[letter.id].read_bytes().replace(b"\r\n", b"\n") == letter.raw.replace(
            b"\r\n", b"\n"
        )
    with_flags(found[few[0].id], "S")
    found[few[1].id].unlink()
    server.ok("SELECT INBOX")
    server.ok(r"UID STORE 3 +FLAGS.SILENT (\Flagged)")
    synchronise()
    assert "F" in flags(messages(local / "INBOX")[few[2].id])
    server.ok("SELECT INBOX")
    assert b"\\Seen" in server.ok("UID FETCH 1 FLAGS")[-1]
    assert server.ok("UID SEARCH UID 2") == [b"* SEARCH"]
