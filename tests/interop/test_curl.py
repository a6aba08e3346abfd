"""curl: single messages by IMAP and POP3, and what a script would do with them."""

from __future__ import annotations

from tests.interop.conftest import Home
from tests.interop.messages import Letter
from tests.unit.postmaster.harness import PASSWORD, RawImap


def curl(home: Home, *arguments: str) -> str:
    config = home.write(
        "curlrc", f'user = "{home.person}:{PASSWORD}"\ncacert = "{home.certificate}"\n'
    )
    return home.run("curl", "--silent", "--show-error", "--config", config, *arguments).stdout


def test_imap(home: Home, few: list[Letter], server: RawImap) -> None:
    address = f"imaps://localhost:{home.ports['imap']}"
    assert few[0].id in curl(home, f"{address}/INBOX;UID=1")
    assert "* LIST (\\HasNoChildren \\Sent)" in curl(home, f"{address}/")
    found = curl(home, f"{address}/INBOX?SUBJECT%20broken")
    assert found.split() == ["*", "SEARCH", "8"]
    upload = home.write("upload", "Subject: by curl\r\n\r\nhello\r\n")
    curl(home, "--upload-file", str(upload), f"{address}/Drafts")
    assert server.ok("STATUS Drafts (MESSAGES)") == [b'* STATUS "Drafts" (MESSAGES 1)']


def test_pop3(home: Home, few: list[Letter]) -> None:
    address = f"pop3s://localhost:{home.ports['pop3']}"
    listing = curl(home, f"{address}/").split("\n")
    sizes = [int(line.split()[1]) for line in listing if line.strip()]
    assert sizes == [len(letter.raw) for letter in few]
    assert few[2].id in curl(home, f"{address}/3")
