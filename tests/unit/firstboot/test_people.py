"""`mailstead user`: what is asked of the directory, with the container faked."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from firstboot.base.audit import read_audit
from firstboot.base.engine import Container, Engine
from firstboot.base.errors import EngineError
from firstboot.base.paths import Paths
from firstboot.people import commands
from firstboot.people.commands import user
from firstboot.people.desk import ContainerDesk, PersonError

ADA = "ada@example.com"


def frame(kind: int, data: bytes) -> bytes:
    """As Docker sends output: stream, three zero bytes, length, data."""
    return struct.pack(">BxxxL", kind, len(data)) + data


@dataclass
class FakeStream:
    """The connection of an exec: what was written to it, and what is to be read."""

    answer: bytes
    written: bytes = b""
    closed: bool = False

    def fileno(self) -> int:
        return 0  # what is there to read is always there

    def sendall(self, data: bytes) -> None:
        self.written += data

    def recv(self, count: int) -> bytes:
        piece, self.answer = self.answer[:count], self.answer[count:]
        return piece

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeApi:
    """One container, `directory`, in which a program answers with `answer` and `code`."""

    answer: dict[str, Any] = field(default_factory=lambda: {"ok": True})
    code: int = 0
    argv: list[str] = field(default_factory=list)
    stream: FakeStream | None = None

    def exec_create(self, container: str, argv: list[str], stdin: bool) -> str:
        assert (container, stdin) == ("1", True)
        self.argv = argv
        return "job"

    def exec_start(self, job: str, socket: bool) -> FakeStream:
        assert (job, socket) == ("job", True)
        output = json.dumps(self.answer).encode() + b"\n"
        self.stream = FakeStream(frame(2, b"noise\n") + frame(1, output[:5]) + frame(1, output[5:]))
        return self.stream

    def exec_inspect(self, _job: str) -> dict[str, int]:
        return {"ExitCode": self.code}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def desk(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> ContainerDesk:
    engine = Engine("unix:///nowhere")
    engine.__dict__["_api"] = api
    box = Container("1", "directory", "i", "i", "running", "172.18.0.2", 0, 0)
    monkeypatch.setattr(Engine, "containers", lambda *_: (box,))
    # A descriptor that select.poll may be asked about: nothing is read from it.
    monkeypatch.setattr("docker.utils.socket.select.poll", FakePoll)
    made = ContainerDesk(engine, "mailstead")
    monkeypatch.setattr(commands, "_desk", lambda: made)
    return made


class FakePoll:
    """Says that there is something to read."""

    def register(self, *_: object) -> None:
        """Take note of a stream."""

    def poll(self) -> list[tuple[int, int]]:
        return [(0, 1)]


def run(*words: str, lines: Sequence[str] = ()) -> tuple[int, str]:
    done = CliRunner().invoke(user, words, input="".join(f"{line}\n" for line in lines))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


@pytest.mark.usefixtures("desk")
def test_secrets_go_by_standard_input_only(api: FakeApi) -> None:
    code, output = run("password", ADA, lines=("old secret", "new secret"))
    assert (code, output) == (0, "the password is changed\n")
    assert api.argv == ["postmaster", "person", "--json", "password", ADA]
    assert api.stream is not None
    assert api.stream.written == b"old secret\nnew secret\n"
    assert api.stream.closed


@pytest.mark.usefixtures("desk")
def test_a_reset_is_explained_and_wants_a_yes(api: FakeApi) -> None:
    code, output = run("password", ADA, "--reset", lines=("new secret",))
    assert code == 2
    assert "stays, sealed, until" in output
    assert api.argv == []
    api.answer = {"ok": True, "sealed": True}
    code, output = run("password", ADA, "--reset", "--yes", lines=("new secret",))
    assert (code, output) == (0, "the password is set; the mail so far is sealed\n")
    assert api.argv[3:] == ["password", ADA, "--reset"]


@pytest.mark.usefixtures("desk")
def test_what_is_made_is_shown_once(api: FakeApi) -> None:
    api.answer = {"ok": True, "code": "abcd-efgh"}
    assert run("recovery-code", ADA, lines=("secret",))[1].startswith("abcd-efgh\n")
    api.answer = {"ok": True, "password": "ijkm-npqr", "id": "ijkm"}
    words = ("app-password", "add", ADA, "--label", "phone")
    assert run(*words, lines=("secret",))[1].startswith("ijkm-npqr\n")
    assert api.argv[3:] == [*words, "--scope", "mail", "--scope", "send"]
    assert json.loads(run(*words, "--json", lines=("secret",))[1]) == api.answer


@pytest.mark.usefixtures("desk")
def test_lists(api: FakeApi) -> None:
    person = {"address": ADA, "state": "never logged in", "app_passwords": 2, "sealed": 1}
    api.answer = {"ok": True, "people": [{**person, "recovery_code": False, "aliases": []}]}
    text = f"{ADA}: never logged in, 2 app passwords, no recovery code, has sealed mail\n"
    assert run("list") == (0, text)
    app = {"id": "ijkm", "label": "phone", "scopes": ["mail", "send"], "created": 0}
    api.answer = {"ok": True, "app_passwords": [{**app, "last_use": 60}, {**app, "last_use": None}]}
    assert run("app-password", "list", ADA)[1].splitlines() == [
        "ijkm  phone  mail+send  last used 1970-01-01 00:01 UTC",
        "ijkm  phone  mail+send  never used",
    ]
    api.answer = {"ok": True}
    assert run("app-password", "revoke", ADA, "ijkm") == (0, "ijkm does not work any more\n")
    assert run("unlock-old", ADA, lines=("secret",))[0] == 0


@pytest.mark.usefixtures("desk")
def test_a_lost_second_factor_is_removed_and_noted(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths.below(tmp_path)
    monkeypatch.setattr("firstboot.base.paths.Paths", lambda: paths)
    assert run("second-factor-remove", ADA) == (0, f"{ADA} has no second factor any more\n")
    assert api.argv[3:] == ["second-factor-remove", ADA]
    api.answer, api.code = {"ok": False, "error": "has none", "hint": ""}, 1
    with pytest.raises(PersonError, match="has none"):
        run("second-factor-remove", ADA)
    entries = read_audit(paths.audit)
    assert [(entry.verb, entry.what, entry.outcome) for entry in entries] == [
        ("people.second-factor-remove", ADA, "done"),
        ("people.second-factor-remove", ADA, "refused: has none"),
    ]


@pytest.mark.usefixtures("desk")
def test_a_missing_line_is_told(api: FakeApi) -> None:
    code, output = run("password", ADA, lines=("old secret",))
    assert code == 2
    assert "expected a line on standard input: new password" in output
    assert api.argv == []


def test_what_the_directory_refuses_is_told(desk: ContainerDesk, api: FakeApi) -> None:
    api.answer, api.code = {"ok": False, "error": "this is not it", "hint": "try"}, 1
    with pytest.raises(PersonError, match="this is not it") as caught:
        desk.ask(("recovery-code", ADA), ("secret",))
    assert caught.value.hint == "try"
    assert "secret" not in str(caught.value)
    with pytest.raises(PersonError, match="one line"):
        desk.ask(("recovery-code", ADA), ("two\nlines",))


def test_no_answer_is_told(
    desk: ContainerDesk, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.answer = {}
    with pytest.raises(EngineError, match="said nothing"):
        desk.ask(("list",))
    monkeypatch.setattr(Engine, "containers", lambda *_: ())
    with pytest.raises(EngineError, match="does not run"):
        desk.ask(("list",))


# Somebody who leaves

VAULT, OTHER = "a" * 32, "b" * 32
SETTINGS = """
version: 1
people:
  - {address: bob@example.com, password_hash: x}
  - {address: Ada@example.com, password_hash: x}
"""


@dataclass
class FakeDesk:
    """A directory that knows of one who has left; it notes what is left when keys go."""

    paths: Paths
    known: bool = True
    vaults: tuple[str, ...] = (VAULT,)
    asked: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    fails: bool = False

    def ask(self, words: Sequence[str], secrets: Sequence[str] = ()) -> dict[str, Any]:
        assert words[1] == ADA
        self.asked.append(words[0])
        if words[0] == "vaults":
            return {"known": self.known, "vaults": list(self.vaults)}
        assert words[0] == "destroy"
        if self.fails:
            raise PersonError("no room")
        self.left = names(self.paths)
        return {}

    def forget_lessons(self, address: str) -> None:
        self.asked.append(f"forget {address}")


def names(paths: Paths) -> list[str]:
    return sorted(path.name for path in paths.state.rglob("*") if path.is_file())


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDesk:
    """A machine with the mail of somebody who has left, and of somebody else."""
    paths = Paths.below(tmp_path)
    store = paths.state / "mailstore"
    waiting = [f"restored/{vault}.0123abcd.ef" for vault in (VAULT, OTHER)]
    for folder in ("vaults", "keys", f"spool/{VAULT}", f"spool/{OTHER}", *waiting):
        (store / folder).mkdir(parents=True)
    for vault in (VAULT, OTHER):
        vaults = [f"vaults/{vault}.{end}" for end in ("dav", "vault", "vault-wal")]
        for name in (*vaults, f"keys/{vault}.key"):
            (store / name).write_bytes(b"secret")
        (store / f"spool/{vault}/{vault}.sealed").write_bytes(b"sealed")
        (store / f"restored/{vault}.0123abcd.ef/{vault}.wish").write_bytes(b"{}")
    paths.settings.write_text(SETTINGS.replace("Ada@", "joan@"))
    desk = FakeDesk(paths)
    monkeypatch.setattr(commands, "_desk", lambda: desk)
    monkeypatch.setattr("firstboot.base.paths.Paths", lambda: paths)
    return desk


OTHERS = [
    f"{OTHER}.dav",
    f"{OTHER}.key",
    f"{OTHER}.sealed",
    f"{OTHER}.vault",
    f"{OTHER}.vault-wal",
    f"{OTHER}.wish",
]


def test_who_has_left_is_destroyed_files_first(left: FakeDesk) -> None:
    held = left.paths.state / "held"
    held.hardlink_to(left.paths.state / f"mailstore/keys/{VAULT}.key")
    code, output = run("remove", ADA, "--yes", "--json")
    assert (code, json.loads(output)) == (0, {"ok": True, "files": 6})
    assert left.asked == ["vaults", f"forget {ADA}", "destroy"]
    assert left.left == [*OTHERS, "held"]
    assert held.read_bytes() == bytes(6)  # a key is overwritten, not only unlinked
    store = left.paths.state / "mailstore"
    assert [path for path in store.rglob(f"{VAULT}*") if path.exists()] == []


def test_a_removal_that_was_cut_off_is_finished(left: FakeDesk) -> None:
    left.fails = True
    with pytest.raises(PersonError, match="no room"):
        run("remove", ADA, "--yes")
    left.fails = False
    assert run("remove", ADA, "--yes") == (0, f"the mail and the keys of {ADA} are destroyed\n")
    assert left.left == OTHERS
    left.known, left.asked = False, []
    with pytest.raises(PersonError, match="nothing is kept"):
        run("remove", ADA, "--yes")
    assert left.asked == ["vaults"]


def test_a_removal_says_what_is_lost_and_wants_a_yes(left: FakeDesk) -> None:
    before = names(left.paths)
    code, output = run("remove", ADA)
    assert code == 2
    assert f"destroys all mail of {ADA}" in output
    assert "in 6 files" in output
    assert (names(left.paths), left.asked) == (before, ["vaults"])


@pytest.mark.parametrize("typed", ["y", "bob@example.com", ADA])
def test_a_removal_wants_the_address_typed(
    left: FakeDesk, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    before = names(left.paths)
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True)
    if typed == ADA:
        assert run("remove", ADA, lines=(typed,))[0] == 0
        assert names(left.paths) == OTHERS
        return
    with pytest.raises(PersonError, match="nothing was destroyed"):
        run("remove", ADA, lines=(typed,))
    assert (names(left.paths), left.asked) == (before, ["vaults"])


def test_nobody_in_the_settings_is_destroyed(left: FakeDesk) -> None:
    left.paths.settings.write_text(SETTINGS)
    with pytest.raises(PersonError, match="still stands in the settings") as caught:
        run("remove", ADA, "--yes")
    assert "user leave" in caught.value.hint
    assert left.asked == []


def test_what_is_no_vault_is_no_file(left: FakeDesk) -> None:
    left.vaults = ("../" * 4 + "etc",)
    before = names(left.paths)
    with pytest.raises(PersonError, match="as the id of a vault"):
        run("remove", ADA, "--yes")
    assert names(left.paths) == before


@pytest.mark.usefixtures("desk")
def test_the_list_shows_who_has_left(api: FakeApi) -> None:
    api.answer = {"ok": True, "people": [], "left": [ADA]}
    assert run("list") == (0, f"{ADA}: not in the settings any more\n")
