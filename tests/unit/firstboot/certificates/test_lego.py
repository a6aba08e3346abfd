"""How lego is called, and what is made of what it says. The real one is in test_renew."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from firstboot.base.errors import CommandError
from firstboot.system.lego import AuthorityError, Order, explain, obtain, obtained
from tests.unit.firstboot.conftest import FakePrograms

ORDER = Order(
    folder=Path("/nowhere"),
    directory="https://acme.example.com/directory",
    email="postmaster@example.com",
    names=("mail.example.com", "imap.example.com"),
    challenge="dns-01",
    dns_provider="rfc2136",
    dns_environment={"RFC2136_TSIG_SECRET": "sesame", "RFC2136_NAMESERVER": "ns.example.com"},
)


def test_secrets_go_by_files_which_are_gone_afterwards(
    programs: FakePrograms, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    programs.add(
        "lego",
        f'env >{seen}; stat -c "%a %n" "$RFC2136_TSIG_SECRET_FILE" >>{seen}\n'
        f'cat "$RFC2136_TSIG_SECRET_FILE" >>{seen}; exit 1',
    )
    with pytest.raises(AuthorityError):
        obtain(dataclasses.replace(ORDER, folder=tmp_path / "lego"), tmp_path / "run")
    lines = seen.read_text().splitlines()
    assert lines[-1] == "sesame"
    assert lines[-2].startswith("600 ")
    assert [line for line in lines[:-1] if "sesame" in line] == []
    assert f"RFC2136_NAMESERVER_FILE={tmp_path}/run/lego/RFC2136_NAMESERVER" in lines
    assert list((tmp_path / "run").iterdir()) == []
    (call,) = programs.calls
    assert "sesame" not in " ".join(call)
    assert call[-5:] == ["--domains", "imap.example.com", "--dns", "rfc2136", "run"]


@pytest.mark.parametrize(
    ("challenge", "words"),
    [
        ("http-01", ["--http", "--http.port", ":80"]),
        ("tls-alpn-01", ["--tls", "--tls.port", ":8444"]),
    ],
)
def test_challenges_are_answered_where_an_authority_gets_to(
    programs: FakePrograms, tmp_path: Path, challenge: str, words: list[str]
) -> None:
    programs.add("lego", "exit 1")
    order = dataclasses.replace(ORDER, folder=tmp_path / "lego", challenge=challenge)
    with pytest.raises(AuthorityError):
        obtain(order, tmp_path / "run")
    assert programs.calls[0][-4:] == [*words, "run"]


def test_a_lego_that_is_not_there_is_no_fault_of_the_authority(
    programs: FakePrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(programs.directory))
    with pytest.raises(CommandError, match="lego was not found"):
        obtain(dataclasses.replace(ORDER, folder=tmp_path / "lego"), tmp_path / "run")


def test_nothing_usable_in_an_answer(programs: FakePrograms, tmp_path: Path) -> None:
    order = dataclasses.replace(ORDER, folder=tmp_path / "lego")
    programs.add("lego")
    with pytest.raises(AuthorityError, match="no certificate that can be used"):
        obtain(order, tmp_path / "run")
    folder = order.folder / "certificates"
    folder.mkdir()
    for name in ("mail.example.com.key", "mail.example.com.crt"):
        (folder / name).write_text("half")
    assert obtained(order) is None


@pytest.mark.parametrize(
    ("output", "message", "hint"),
    [
        (
            "2026/11/24 14:10:05 Could not obtain certificates:\n"
            "\terror: one or more domains had a problem:\n"
            "[mail.example.com] acme: error: 400 :: urn:ietf:params:acme:error:dns :: "
            "DNS problem: NXDOMAIN looking up A for mail.example.com",
            "the authority refuses (dns): DNS problem: NXDOMAIN looking up A for mail.example.com",
            "must be found in the DNS",
        ),
        (
            "2026/11/24 14:10:04 [INFO] retry due to: acme: error: 400 :: POST :: https://x.test"
            " :: "
            "urn:ietf:params:acme:error:badNonce :: JWS has an invalid anti-replay nonce\n"
            "2026/11/24 14:10:05 Could not create client: get directory at 'https://x.test': "
            "dial tcp: lookup x.test: no such host",
            "the authority could not be asked: Could not create client: get directory at "
            "'https://x.test': dial tcp: lookup x.test: no such host",
            "tried again by itself",
        ),
        (
            "2026/11/24 14:10:05 Could not create client: tls: failed to verify certificate: "
            "x509: certificate has expired or is not yet valid: current time is before",
            "the authority's own certificate is not valid at the time that this clock shows",
            "time server",
        ),
        (
            "[mail.example.com] [mail.example.com] acme: error presenting token: could not start "
            "HTTP server for challenge: listen tcp :80: bind: address already in use",
            "[mail.example.com] [mail.example.com] acme: error presenting token: could not start "
            "HTTP server for challenge: listen tcp :80: bind: address already in use",
            "Another program of this machine uses the port.",
        ),
        ("", "the authority could not be asked: lego failed", "network"),
    ],
)
def test_failures_are_explained(output: str, message: str, hint: str) -> None:
    error = explain(output)
    assert error.message == message
    assert hint in error.hint


def test_the_time_of_a_limit() -> None:
    start = "[x] acme: error: 429 :: urn:ietf:params:acme:error:rateLimited :: too many "
    error = explain(f"{start}certificates, retry after 2026-11-25 03:04:05 UTC: see https://x.test")
    assert error.retry is not None
    assert error.retry.isoformat() == "2026-11-25T03:04:05+00:00"
    assert explain(f"{start}requests, retry after 2026-11-25T03:04:05Z").retry == error.retry
    assert explain(f"{start}requests").retry is None
    assert error.kind == "rateLimited"
