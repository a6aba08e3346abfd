"""`mailstead vault` against a running mail store: out, in again, whatever stops it."""

from __future__ import annotations

import itertools
import json
import mailbox
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from firstboot.base.certificate import ensure_certificate
from firstboot.base.passwords import MIN_MEMORY_KIB, hash_password
from firstboot.base.paths import Paths
from firstboot.base.roundtrip import Account, trusting
from firstboot.vaults import commands
from firstboot.vaults.check import check_vault
from firstboot.vaults.errors import VaultError
from firstboot.vaults.export import JOURNAL, export_mailbox
from firstboot.vaults.importing import Imported, import_mail
from firstboot.vaults.journal import Journal
from firstboot.vaults.mailbox import Mail, Progress, RemoteMailbox, opened_mailbox
from firstboot.vaults.names import folder_of, path_of
from firstboot.vaults.sources import read_source
from tests.unit.postmaster.harness import ADA, PASSWORD, RawImap, Stack, make_files

CHECKOUT = Path(__file__).parents[3]

PLAIN = b"Subject: plain\r\n\r\nGood morning\r\n"
QUOTED = b"Subject: from\r\n\r\nFrom here on\r\n>From there\r\n\r\nFrom a new paragraph\r\n"
ODD = b"Subject: odd\r\n\r\nbare\nand\r\xff\xfe no end"
ODD_FOLDER = "Größe/..:x & y"


def account(stack: Stack, person: str, password: str = PASSWORD) -> Account:
    context = trusting(stack.files.certificate)
    return Account("localhost", person, password, 0, stack.ports.mailstore.imap, context)


def ignore(_text: str) -> None:
    """Report to nobody."""


@pytest.fixture
def filled(imap: RawImap, person: str, shared_stack: Stack) -> Iterator[RemoteMailbox]:
    """A mailbox with odd messages and a folder with an odd name."""
    with opened_mailbox(account(shared_stack, person)) as box:
        box.create(ODD_FOLDER)
        box.append("INBOX", Mail(PLAIN, frozenset({"\\Seen", "$Later"})))
        box.append("INBOX", Mail(ODD))
        box.append(ODD_FOLDER, Mail(QUOTED, frozenset({"\\Flagged"})))
        yield box


def contents(box: RemoteMailbox) -> dict[str, list[tuple[bytes, frozenset[str]]]]:
    found = {}
    for folder in box.folders():
        _, uids = box.select(folder)
        if uids:
            found[folder] = [(mail.raw, mail.flags) for mail in box.fetch(uids)]
    return found


def bring_in(box: RemoteMailbox, source: Path, record: Path, folder: str | None = None) -> Imported:
    return import_mail(box, source, Journal(record, "test"), folder, ignore)


@pytest.mark.parametrize("form", ["maildir", "eml", "mbox"])
def test_what_was_taken_out_comes_back(
    filled: RemoteMailbox,
    shared_stack: Stack,
    spare_people: Iterator[str],
    tmp_path: Path,
    form: str,
) -> None:
    result = export_mailbox(filled, "ada", tmp_path / "out", form, ignore)
    assert (result.written, result.before) == (3, 0)
    assert export_mailbox(filled, "ada", tmp_path / "out", form, ignore).written == 0
    filled.append("INBOX", Mail(PLAIN))
    assert export_mailbox(filled, "ada", tmp_path / "out", form, ignore).written == 1
    with opened_mailbox(account(shared_stack, next(spare_people))) as other:
        brought = bring_in(other, tmp_path / "out", tmp_path / "record")
        assert (brought.written, brought.left_out) == (4, [])
        found = contents(other)
    assert not (tmp_path / "record").exists()
    wanted = contents(filled)
    if form == "maildir":
        for mails in wanted.values():  # keywords have no letter
            mails[:] = [(raw, flags - {"$Later"}) for raw, flags in mails]
        assert {f: sorted(m) for f, m in found.items()} == {f: sorted(m) for f, m in wanted.items()}
        return
    raws = {folder: sorted(raw for raw, _ in mails) for folder, mails in found.items()}
    expected = {folder: sorted(raw for raw, _ in mails) for folder, mails in wanted.items()}
    if form == "mbox":  # line ends are not kept
        expected["INBOX"] = sorted(
            raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for raw in expected["INBOX"]
        )
        expected["INBOX"] = [
            raw if raw.endswith(b"\r\n") else raw + b"\r\n" for raw in expected["INBOX"]
        ]
    assert raws == expected


def test_pythons_own_readers_read_an_export(filled: RemoteMailbox, tmp_path: Path) -> None:
    export_mailbox(filled, "ada", tmp_path / "md", "maildir", ignore)
    maildir = mailbox.Maildir(tmp_path / "md", create=False)
    assert sorted(message.get_flags() for message in maildir) == ["", "S"]
    export_mailbox(filled, "ada", tmp_path / "mb", "mbox", ignore)
    box = mailbox.mbox(tmp_path / "mb" / "INBOX.mbox", create=False)
    assert [message["Subject"] for message in box] == ["plain", "odd"]
    box.close()


def test_a_stopped_mbox_export_leaves_nothing_half(filled: RemoteMailbox, tmp_path: Path) -> None:
    export_mailbox(filled, "ada", tmp_path, "mbox", ignore)
    file = tmp_path / "INBOX.mbox"
    whole = file.read_bytes()
    filled.append("INBOX", Mail(QUOTED))
    file.write_bytes(whole + b"From MAILER-DAEMON half of a mess")
    assert export_mailbox(filled, "ada", tmp_path, "mbox", ignore).written == 1
    assert len(list(read_source(file))) == 3
    assert file.read_bytes().startswith(whole)


def test_an_export_of_somebody_else_is_not_mixed_in(filled: RemoteMailbox, tmp_path: Path) -> None:
    export_mailbox(filled, "ada", tmp_path, "eml", ignore)
    with pytest.raises(VaultError, match="something else"):
        export_mailbox(filled, "bob", tmp_path, "eml", ignore)
    (tmp_path / JOURNAL).write_text("{")
    with pytest.raises(VaultError, match="cannot be read"):
        export_mailbox(filled, "ada", tmp_path, "eml", ignore)


class StoppedError(Exception):
    """The power went."""


class Fragile(RemoteMailbox):
    """Loses the connection with a message, before or after the mail store has it."""

    stop_at = 0
    kept = False

    def append(self, folder: str, mail: Mail) -> None:
        self.stop_at -= 1
        if self.stop_at == 0 and not self.kept:
            raise StoppedError
        super().append(folder, mail)
        if self.stop_at == 0:
            raise StoppedError


@pytest.mark.parametrize(("stop_at", "kept"), list(itertools.product([1, 3, 5], [False, True])))
def test_a_stopped_import_goes_on(
    shared_stack: Stack, person: str, tmp_path: Path, stop_at: int, kept: bool
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(5):
        (source / f"{number}.eml").write_bytes(b"Subject: %d\n\nbody\n" % number)
    with opened_mailbox(account(shared_stack, person)) as box:
        fragile = Fragile(box._imap)
        fragile.stop_at, fragile.kept = stop_at, kept
        with pytest.raises(StoppedError):
            bring_in(fragile, source, tmp_path / "record")
        result = bring_in(box, source, tmp_path / "record")
        assert result.before == stop_at - 1
        raws = [raw for raw, _ in contents(box)["INBOX"]]
    assert raws == [b"Subject: %d\r\n\r\nbody\r\n" % number for number in range(5)]


def test_a_source_that_changed_is_not_gone_on_with(
    shared_stack: Stack, person: str, tmp_path: Path
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "b.eml").write_bytes(PLAIN)
    journal = Journal(tmp_path / "record", "test")
    journal.entries["key"] = "b.eml"
    journal.note("count", 1)
    (source / "a.eml").write_bytes(PLAIN)
    with opened_mailbox(account(shared_stack, person)) as box:
        with pytest.raises(VaultError, match="has changed"):
            bring_in(box, source, tmp_path / "record")
        assert contents(box) == {}


def test_what_cannot_be_brought_in_is_named(
    shared_stack: Stack, person: str, tmp_path: Path
) -> None:
    (tmp_path / "a.eml").write_bytes(b"")
    (tmp_path / "b.eml").write_bytes(b"x" * 300_000)
    (tmp_path / "c.eml").write_bytes(PLAIN)
    with opened_mailbox(account(shared_stack, person)) as box:
        result = bring_in(box, tmp_path, tmp_path / "record", folder="New/One")
        assert result.written == 1
        assert [text.split(":")[0] for text in result.left_out] == ["a.eml", "b.eml"]
        assert list(contents(box)) == ["New/One"]


def test_an_import_of_nothing_leaves_no_record(filled: RemoteMailbox, tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="there is no"):
        bring_in(filled, tmp_path / "nothing", tmp_path / "record")
    assert not (tmp_path / "record").exists()
    (tmp_path / "a.eml").write_bytes(PLAIN)
    with pytest.raises(VaultError, match="cannot note"):
        bring_in(filled, tmp_path, tmp_path / "missing" / "record")


@pytest.mark.parametrize("name", ["nothing", "text"])
def test_a_source_that_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.mbox").write_bytes(b"no mbox")
    with pytest.raises(VaultError):
        list(read_source(tmp_path / name if name == "nothing" else tmp_path))


@pytest.mark.parametrize(
    "folder", ["a", "a/b", "../../etc", "a//b", "~x", ".hidden", "100%25", "CON:"]
)
def test_folders_stay_below_the_root(tmp_path: Path, folder: str) -> None:
    path = path_of(tmp_path, folder)
    assert path.resolve().is_relative_to(tmp_path.resolve())
    assert path.resolve() == path
    assert folder_of(path.relative_to(tmp_path)).replace(" ", "") == folder


def test_a_vault_is_checked(filled: RemoteMailbox) -> None:
    result = check_vault(filled, ignore)
    assert result.problems == []
    assert 0 < result.done <= result.total


def test_an_odd_check_is_refused(imap: RawImap) -> None:
    assert imap.command("XCHECK nonsense 0 0 1")[0].startswith(b"BAD")
    assert imap.command("XCHECK contents x 0 1")[0].startswith(b"BAD")
    assert imap.ok("XCHECK index 0 0 1")[-1].startswith(b"* XCHECK END")


def test_a_wrong_password_is_told(shared_stack: Stack, person: str) -> None:
    with (
        pytest.raises(VaultError, match="IMAP as"),
        opened_mailbox(account(shared_stack, person, "wrong")),
    ):
        pass


@pytest.fixture
def command(
    filled: RemoteMailbox, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[int, str]]:
    """Run `mailstead vault …` on the filled mailbox; return exit code and standard output."""

    @contextmanager
    def opened(_address: str) -> Iterator[RemoteMailbox]:
        yield filled

    monkeypatch.setattr(commands, "_mailbox", opened)

    def run(line: str) -> tuple[int, str]:
        result = CliRunner().invoke(commands.vault, shlex.split(line))
        return result.exit_code, result.stdout

    return run


def test_the_commands_tell_what_they_did(
    command: Callable[[str], tuple[int, str]], tmp_path: Path
) -> None:
    assert command(f"export ada@x {tmp_path}/out --json") == (
        0,
        '{\n  "written": 3,\n  "before": 0\n}\n',
    )
    code, output = command(f"import ada@x {tmp_path}/out --folder Again")
    assert (code, output) == (0, "brought in  3 messages (0 before)\n")
    code, output = command("check ada@x")
    assert code == 0
    assert output.startswith("whole  ")
    assert json.loads(command("check ada@x --json")[1])["problems"] == []


def test_a_damaged_vault_is_told(
    command: Callable[[str], tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(_self: RemoteMailbox, _point: str) -> Progress:
        return Progress(10, 10, ["content 1 is not there"], "")

    monkeypatch.setattr(RemoteMailbox, "check", damaged)
    code, output = command("check ada@x")
    assert code == 15
    assert output == "problem  content 1 is not there\ndamaged  10 bytes looked at\n"


@pytest.fixture
def machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, str], Result]]:
    """Run `mailstead vault …` on a machine whose mail store runs, with a password."""
    # The command reads the settings, which take no cheaper one.
    password_hash = hash_password(PASSWORD, memory=MIN_MEMORY_KIB, passes=2)
    ensure_certificate(tmp_path / "tls", "mail.example.com")
    pair = (tmp_path / "tls" / "certificate.pem", tmp_path / "tls" / "key.pem")
    stack = Stack(make_files(tmp_path, password_hash, pair))
    stack.deliver(PLAIN, ADA)
    paths = Paths.below(tmp_path / "root")
    for folder in (paths.settings.parent, paths.templates, paths.certificate.parent):
        folder.mkdir(parents=True, exist_ok=True)
    paths.settings.write_text(stack.files.settings.read_text())
    services = (CHECKOUT / "compose" / "services.yaml").read_text()
    port = f"published: {stack.ports.mailstore.imap},"
    paths.services.write_text(services.replace("published: 993,", port))
    paths.certificate.write_bytes(pair[0].read_bytes())
    monkeypatch.setattr(commands, "Paths", lambda: paths)
    yield lambda line, secret: CliRunner().invoke(
        commands.vault, shlex.split(line), input=secret + "\n"
    )
    stack.stop()


def test_the_command_reaches_the_machines_own_mail_store(
    machine: Callable[[str, str], Result], tmp_path: Path
) -> None:
    result = machine(f"export {ADA.title()} {tmp_path}/out", PASSWORD)
    assert (result.exit_code, result.stdout) == (
        0,
        f"written  1 messages to {tmp_path}/out (0 before)\n",
    )
    (item,) = read_source(tmp_path / "out")
    assert item.mail.raw.endswith(PLAIN)
    assert isinstance(machine(f"check {ADA}", "wrong").exception, VaultError)
    nobody = machine("check nobody@example.com", PASSWORD).exception
    assert isinstance(nobody, VaultError)
    assert "nobody@example.com" in nobody.message
