"""The socket of the web pages, over real connections: who may ask what, and what never happens."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from firstboot.administration import server as module
from firstboot.administration.desk import Desk
from firstboot.administration.protocol import MOST_BYTES, Arguments, Call, Refusals, Verb
from firstboot.administration.server import Server, inherited, listen
from firstboot.administration.sessions import (
    IDLE_SECONDS,
    LONGEST_SECONDS,
    Sessions,
    place_of,
)
from firstboot.administration.tokens import Tokens
from firstboot.base.audit import read_audit
from firstboot.base.errors import EngineError, MailsteadError
from firstboot.base.paths import Paths
from firstboot.base.settings import require_settings
from firstboot.cli.serving import make_desk
from firstboot.people import office
from firstboot.people.desk import PersonError
from tests.unit.firstboot.people.running import NotingEngine, set_up
from tests.unit.firstboot.samples import HASH, SETTINGS

PASSWORD = "correct horse battery"
PHC = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(PASSWORD)
OTHER_PHC = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash("another one, long")
HERE = "192.0.2.7"
SECONDS = 60.0  # for what happens at once


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Running:
    """A server for the user of this test, and a client of it."""

    def __init__(self, desk: Desk, path: Path, *, user: int, peer: int = -1) -> None:
        self.path = path
        self.listener = listen(path, user)
        server = Server(desk, user if peer < 0 else peer, idle=None)
        self.thread = threading.Thread(target=server.serve, args=(self.listener,), daemon=True)
        self.thread.start()
        self.token = ""

    def stop(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()
        self.listener.close()

    def raw(self, data: bytes) -> list[dict[str, Any]]:
        """Send bytes; every line that comes back."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SECONDS)
            connection.connect(str(self.path))
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # turned away before it was read
            with connection.makefile("rb") as lines:
                return [json.loads(line) for line in lines]

    def ask(self, verb: str, token: str | None = None, **arguments: Any) -> dict[str, Any]:
        request = {
            "version": 1,
            "verb": verb,
            "token": self.token if token is None else token,
            "arguments": arguments,
        }
        return self.raw(json.dumps(request).encode() + b"\n")[-1]

    def log_in(self, password: str = PASSWORD, address: str = HERE) -> dict[str, Any]:
        answer = self.ask("administrator.login", "", **{"password": password, "from": address})
        if answer["ok"]:
            self.token = answer["result"]["token"]
        return answer


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is turned away who is just slow."""
    for name in ("REQUEST_SECONDS", "_FAREWELL_SECONDS"):
        monkeypatch.setattr(module, name, SECONDS)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine() -> NotingEngine:
    return NotingEngine()


@pytest.fixture
def machine(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setattr(office, "hash_password", lambda _password: HASH)
    set_up(paths, SETTINGS + f"administrator: {{password_hash: '{PHC}'}}\n")
    return paths


@pytest.fixture
def running(
    machine: Paths, engine: NotingEngine, clock: Clock, tmp_path: Path
) -> Iterator[Running]:
    desk = make_desk(machine, engine, clock)  # type: ignore[arg-type]
    found = Running(desk, tmp_path / "run/socket", user=os.getuid())
    yield found
    found.stop()


def test_a_person_is_added_by_who_is_signed_in(running: Running, machine: Paths) -> None:
    assert running.log_in()["ok"] is True
    added = running.ask(
        "people.add", address="bob@example.com", password="a long password", aliases=[], quota="1G"
    )
    assert added == {"ok": True, "result": {"when": "It counts from now on."}}
    people = running.ask("people.list")["result"]["people"]
    assert [person["address"] for person in people] == ["ada@example.com", "bob@example.com"]
    login, change = running.ask("audit.list", last=10)["result"]["entries"]
    assert (login["verb"], login["who"]) == ("administrator.login", f"web {HERE}")
    assert change["who"] == f"web {HERE}"
    assert change["what"] == "bob@example.com (quota 1G)"
    assert "a long password" not in machine.audit.read_text()


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("aliases.add", {"alias": "al@example.com", "address": "ada@example.com"}),
        ("aliases.remove", {"alias": "countess@example.com"}),
        ("people.change", {"address": "ada@example.com", "name": "Ada King", "quota": None}),
        ("domains.add", {"name": "example.org"}),
    ],
)
def test_each_change_is_made_and_noted(
    running: Running, machine: Paths, verb: str, arguments: dict[str, Any]
) -> None:
    running.log_in()
    before = machine.settings.read_text()
    assert running.ask(verb, **arguments)["ok"] is True
    assert machine.settings.read_text() != before
    assert read_audit(machine.audit)[-1].verb == verb


def test_a_no_of_a_feature_is_told_with_what_to_do(running: Running, machine: Paths) -> None:
    running.log_in()
    answer = running.ask("people.leave", address="ada@example.com")
    assert (answer["ok"], answer["kind"]) == (False, "refused")
    assert answer["hint"].startswith("Add somebody else first")
    assert running.ask("domains.remove", name="example.com")["kind"] == "refused"
    answer = running.ask("people.change", address="ada@example.com", quota="lots")
    assert answer["kind"] == "invalid"
    assert "quota" in answer["error"]
    assert len(require_settings(machine.settings).people) == 1


@pytest.mark.parametrize("token", ["", "x" * 43])
def test_nothing_is_told_to_who_is_not_signed_in(running: Running, token: str) -> None:
    running.log_in()
    for verb in ("people.list", "status", "audit.list", "queue.list", "administrator.logout"):
        answer = running.ask(verb, token)
        assert (answer["ok"], answer["kind"]) == (False, "denied")


def test_a_session_ends(running: Running, machine: Paths, clock: Clock) -> None:
    running.log_in()
    assert running.ask("administrator.logout")["ok"] is True
    assert running.ask("people.list")["kind"] == "denied"
    running.log_in()
    clock.now += IDLE_SECONDS - 1
    assert running.ask("people.list")["ok"] is True
    clock.now += IDLE_SECONDS + 1
    assert running.ask("people.list")["kind"] == "denied"
    running.log_in()
    for _ in range(int(LONGEST_SECONDS / 1000)):
        clock.now += 1000
        assert running.ask("people.list")["ok"] is True
    clock.now += 1000
    assert running.ask("people.list")["kind"] == "denied"
    running.log_in()
    machine.settings.write_text(machine.settings.read_text().replace(PHC, OTHER_PHC))
    assert running.ask("people.list")["kind"] == "denied"


def test_tokens_are_kept_as_hashes(running: Running, machine: Paths) -> None:
    running.log_in()
    kept = machine.web_sessions.read_text()
    assert running.token not in kept
    assert PHC not in kept
    assert machine.web_sessions.stat().st_mode & 0o777 == 0o600


def test_guessing_takes_ever_longer(running: Running, clock: Clock) -> None:
    waits = [running.log_in("wrong password")["wait"] for _ in range(4)]
    assert waits == [0, 0, 2, 2]
    # The right one is not looked at, either; from elsewhere it is.
    assert running.log_in()["kind"] == "denied"
    assert running.log_in(address="2001:db8::1")["ok"] is True
    clock.now += 2
    assert running.log_in()["ok"] is True


def test_guessing_from_everywhere_does_not_lock_out_who_was_right_before(
    running: Running, machine: Paths
) -> None:
    assert running.log_in()["ok"] is True
    for number in range(20):
        assert running.log_in("wrong password", f"203.0.113.{number}")["kind"] == "denied"
    assert running.log_in(address="198.51.100.1")["wait"] == 2
    assert running.log_in()["ok"] is True
    # And not at the machine.
    assert not machine.administrator_tries.exists()


def test_without_a_password_nobody_gets_in(running: Running, machine: Paths) -> None:
    machine.settings.write_text(SETTINGS)
    answer = running.log_in()
    assert answer["kind"] == "denied"
    assert "mailstead admin password" in answer["hint"]


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ],
)
def test_places(address: str, place: str) -> None:
    assert place_of(address) == place


REQUEST = b'{"version":1,"verb":"people.list","token":"","arguments":{}}'


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"\xff\xfe\n",
        b"[]\n",
        b"[" * 10_000 + b"\n",
        REQUEST,  # without an end
        REQUEST.replace(b'"version":1', b'"version":2') + b"\n",
        REQUEST.replace(b'"version":1', b'"version":"1"') + b"\n",
        REQUEST.replace(b"people.list", b"people.burn") + b"\n",
        REQUEST.replace(b"{}", b"[]") + b"\n",
        REQUEST.replace(b"}}", b'},"more":1}') + b"\n",
        REQUEST.replace(b"people.list", b"x" * 65) + b"\n",
        b"x" * (MOST_BYTES + 1) + b"\n",
        b'{"version":1,"verb":"administrator.login","arguments":{"password":"s3cret",'
        b'"from":"nowhere"}}\n',
        b'{"version":1,"verb":"administrator.login","arguments":{"password":["s3cret"],'
        b'"from":"192.0.2.1"}}\n',
    ],
)
def test_what_is_no_request_gets_an_answer(running: Running, line: bytes) -> None:
    (answer,) = running.raw(line)
    assert (answer["ok"], answer["kind"]) == (False, "invalid")
    assert answer["error"]
    assert "s3cret" not in json.dumps(answer)


@pytest.mark.parametrize(
    "arguments",
    [
        {"address": "bob@example.com"},
        {"address": "bob@example.com", "password": "s3cret and long", "is_admin": True},
        {"address": 1, "password": "s3cret and long"},
        {"address": "bob@example.com", "password": "s3cret and long", "aliases": "x"},
        {"address": "b" * 300, "password": "s3cret and long"},
    ],
)
def test_arguments_are_those_of_the_verb(running: Running, arguments: dict[str, Any]) -> None:
    running.log_in()
    answer = running.ask("people.add", **arguments)
    assert (answer["ok"], answer["kind"]) == (False, "invalid")
    assert "s3cret" not in json.dumps(answer)


def test_no_one_else_may_ask(machine: Paths, engine: NotingEngine, tmp_path: Path) -> None:
    desk = make_desk(machine, engine)  # type: ignore[arg-type]
    running = Running(desk, tmp_path / "socket", user=os.getuid(), peer=os.getuid() + 1)
    (answer,) = running.raw(REQUEST + b"\n")
    running.stop()
    assert (answer["kind"], answer["error"]) == ("denied", "this socket is not for you")


Verbs = dict[str, Callable[[Call, Any], dict[str, Any]]]


def desk_with(verbs: Verbs, tmp_path: Path) -> Desk:
    """A desk with verbs of a test, which nobody has to sign in for."""
    table = {name: Verb(Arguments, run, open=True, single=True) for name, run in verbs.items()}
    paths = Paths.below(tmp_path)
    return Desk(table, Sessions(paths), Tokens(paths), Refusals(refused=(PersonError,)))


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Verbs], Running]]:
    """Start a server with verbs of the test."""
    started: list[Running] = []

    def begin(verbs: Verbs) -> Running:
        started.append(Running(desk_with(verbs, tmp_path), tmp_path / "s", user=os.getuid()))
        return started[-1]

    yield begin
    for running in started:
        running.stop()


def failing(error: Exception) -> Callable[[Call, Any], dict[str, Any]]:
    def run(_call: Call, _arguments: Any) -> dict[str, Any]:
        raise error

    return run


def test_errors_keep_their_kind(serve: Callable[[Verbs], Running]) -> None:
    running = serve(
        {
            "no": failing(PersonError("no", "so")),
            "down": failing(EngineError("down")),
            "defect": failing(RuntimeError("oops")),
        }
    )
    refused = {"ok": False, "kind": "refused", "error": "no", "hint": "so"}
    assert running.ask("no") == refused
    assert running.ask("down")["kind"] == "failed"
    assert running.ask("defect")["kind"] == "failed"


def test_progress_is_told_and_one_runs_at_a_time(serve: Callable[[Verbs], Running]) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(call: Call, _arguments: Any) -> dict[str, Any]:
        call.progress("half of it")
        begun.set()
        assert go_on.wait(SECONDS)
        return {"n": 1}

    running = serve({"slow": slow})
    lines: list[dict[str, Any]] = []
    line = b'{"version":1,"verb":"slow"}\n'
    first = threading.Thread(target=lambda: lines.extend(running.raw(line)))
    first.start()
    assert begun.wait(SECONDS)
    assert running.ask("slow")["kind"] == "busy"
    go_on.set()
    first.join(SECONDS)
    assert lines == [{"progress": "half of it"}, {"ok": True, "result": {"n": 1}}]


def test_whoever_goes_away_ends_what_is_told(serve: Callable[[Verbs], Running]) -> None:
    ended = threading.Event()

    def endless(call: Call, _arguments: Any) -> dict[str, Any]:
        try:
            while True:
                call.progress("x" * 10_000)
        finally:
            ended.set()

    running = serve({"endless": endless})
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(running.path))
        connection.sendall(b'{"version":1,"verb":"endless"}\n')
        assert connection.recv(1)
    assert ended.wait(SECONDS)


def test_it_ends_when_nobody_asks(tmp_path: Path) -> None:
    listener = listen(tmp_path / "s", os.getuid())
    server = Server(desk_with({"hello": lambda _call, _arguments: {}}, tmp_path), os.getuid(), 0.2)
    thread = threading.Thread(target=server.serve, args=(listener,), daemon=True)
    with socket.socket(socket.AF_UNIX) as connection:
        # Before it starts, so that it does not end before somebody has asked.
        connection.connect(str(tmp_path / "s"))
        connection.sendall(b'{"version":1,"verb":"hello"}\n')
        thread.start()
        thread.join(SECONDS)
        assert not thread.is_alive()
        assert json.loads(connection.makefile("rb").readline())["ok"] is True
    listener.close()


def test_the_socket_is_for_one_user(tmp_path: Path) -> None:
    listener = listen(tmp_path / "a/socket", os.getuid())
    assert (tmp_path / "a/socket").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o711
    listener.close()


def test_without_a_socket_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LISTEN_PID", raising=False)
    with pytest.raises(MailsteadError, match="nobody gave"):
        inherited()
