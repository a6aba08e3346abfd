"""NeoMutt: somebody who reads, flags, searches, copies and deletes; again from what it cached."""

from __future__ import annotations

import re

from tests.interop.conftest import Home
from tests.interop.messages import Letter
from tests.unit.postmaster.harness import PASSWORD, RawImap


def neomutt(home: Home, keys: str) -> None:
    """Start NeoMutt on a terminal with keys that were typed ahead; the last of them quits."""
    config = home.write(
        "neomuttrc",
        f"""
set folder = "imaps://localhost:{home.ports["imap"]}/"
set spoolfile = "+INBOX"
set imap_user = "{home.person}"
set imap_pass = "{PASSWORD}"
set ssl_ca_certificates_file = "{home.certificate}"
set certificate_file = "{home.certificate}"
set header_cache = "{home.folder}/headers"
set message_cachedir = "{home.folder}/bodies"
set imap_condstore = yes
set imap_qresync = yes
set imap_idle = yes
set imap_check_subscribed = yes
set imap_poll_timeout = 0
set sleep_time = 0
ifdef socket_timeout "set socket_timeout = -1"
set confirmappend = no
set confirmcreate = no
set mark_old = no
set quit = yes
set delete = yes
set wait_key = no
push "{keys}"
""",
    )
    for cache in ("headers", "bodies"):
        (home.folder / cache).mkdir(exist_ok=True)
    command = f"TERM=vt100 neomutt -n -F {config}"
    home.run("script", "--quiet", "--return", "--command", command, "/dev/null")


def read(home: Home, pattern: str) -> list[str]:
    """Return the Message-IDs of what NeoMutt finds by a pattern, taken from what it fetches."""
    found = home.folder / "found"
    tag = f"<tag-pattern>{pattern}<enter><tag-prefix-cond>"
    neomutt(home, f"{tag}<pipe-message>cat >{found}<enter><quit>")
    return re.findall("^Message-ID: (<.*>)$", found.read_text(), re.MULTILINE)


def test_a_person_at_a_terminal(home: Home, few: list[Letter], server: RawImap) -> None:
    assert read(home, "~A") == [letter.id for letter in few]
    assert read(home, "=b grüße") == [few[1].id, few[9].id]  # the server searches
    neomutt(
        home,
        "<first-entry><flag-message><copy-message>=Reisen/Grüße<enter>"
        "<tag-pattern>~s forwarded<enter><tag-prefix-cond><save-message>=Archive<enter>"
        "<sync-mailbox><quit>",
    )
    server.ok("SELECT INBOX")
    assert server.ok(r"UID SEARCH FLAGGED") == [b"* SEARCH 1"]
    assert server.ok(r"UID SEARCH UID 5") == [b"* SEARCH"]
    server.ok("ENABLE UTF8=ACCEPT")
    for folder in ("Archive", "Reisen/Grüße"):
        answer = f'* STATUS "{folder}" (MESSAGES 1)'
        assert server.ok(f'STATUS "{folder}" (MESSAGES)') == [answer.encode()]


def test_what_changed_meanwhile(home: Home, few: list[Letter], server: RawImap) -> None:
    assert read(home, "~A") == [letter.id for letter in few]
    server.ok("SELECT INBOX")
    server.ok(r"UID STORE 3 +FLAGS.SILENT (\Flagged)")
    server.ok(r"UID MOVE 2,12 Trash")
    new = Letter("<new@example.org>", b"Message-ID: <new@example.org>\r\n\r\nnew\r\n")
    server.append(new.raw)
    expected = [few[0].id, *(letter.id for letter in few[2:11]), new.id]
    assert read(home, "~A") == expected
    assert read(home, "~F") == [few[2].id]
