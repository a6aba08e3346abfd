"""`mailstead queue`, with the container faked: what Postfix's programs are told, what is said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from firstboot.base.engine import Container
from firstboot.base.errors import EngineError
from firstboot.queue import commands
from firstboot.queue.messages import QueueError
from firstboot.queue.spool import Spool

REAL = Path(__file__).with_name("postqueue.jsonl").read_bytes()
WAITING, HELD = "5271E2120E4", "C9D95212C11"
DONE = {"-d": b"Deleted", "-h": b"Placed on hold", "-H": b"Released from hold"}


@dataclass
class FakeEngine:
    """An engine with the container `mta`, in which Postfix's programs note how they were called."""

    listing: bytes = REAL
    status: str = "running"
    calls: list[list[str]] = field(default_factory=list)

    def containers(self, project: str) -> tuple[Container, ...]:
        return tuple(
            Container(service, service, "", "", status, "172.18.0.2", 0, 0)
            for service, status in (("directory", "running"), ("mta", self.status))
        )

    def execute(self, container: Container, argv: Sequence[str]) -> bytes:
        assert container.service == "mta"
        if list(argv) == ["postqueue", "-j"]:
            return self.listing
        self.calls.append(list(argv))
        if argv[0] != "postsuper":
            return b""
        # As postsuper(1) says it: one line for each, then how many.
        ids = argv[2::2]
        text = b"".join(b"postsuper: %s: done\n" % each.encode() for each in ids)
        count = b"%d message%s" % (len(ids), b"" if len(ids) == 1 else b"s")
        return text + b"postsuper: %s: %s\n" % (DONE[argv[1]], count)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    found = FakeEngine()
    monkeypatch.setattr(commands, "_spool", lambda: Spool(found, "mailstead"))  # type: ignore[arg-type]
    return found


def call(*words: str, typed: str = "") -> Result:
    return CliRunner().invoke(commands.queue, words, input=typed)


def test_list(engine: FakeEngine) -> None:
    done = call("list")
    assert done.exit_code == 0, done.output
    assert f"{WAITING}  waits" in done.output
    assert "The smart host does not take the login." in done.output
    assert done.output.endswith("7 messages, 2 of them held\n")
    found = json.loads(call("list", "--json").output)
    assert found["ok"] is True
    (message,) = (one for one in found["messages"] if one["id"] == WAITING)
    assert message["recipients"][0]["what_to_do"].startswith("Set relay.username")
    engine.listing = b""
    assert "The queue is empty" in call("list").output
    assert json.loads(call("list", "--json").output) == {"ok": True, "messages": []}


def test_retry(engine: FakeEngine) -> None:
    assert call("retry").output == "5 messages tried now\n"
    assert call("retry", WAITING).output == "1 message tried now\n"
    assert engine.calls == [["postqueue", "-f"], ["postqueue", "-i", WAITING]]
    done = call("retry", HELD)
    assert isinstance(done.exception, QueueError)
    assert "mailstead queue release" in done.exception.hint


def test_hold_and_release(engine: FakeEngine) -> None:
    assert call("hold", WAITING).output == "1 message held\n"
    assert call("release", "--all").output == "2 messages released\n"
    assert json.loads(call("release", HELD, "--json").output) == {
        "ok": True,
        "count": 1,
        "ids": [HELD],
    }
    assert engine.calls == [
        ["postsuper", "-h", WAITING],
        ["postsuper", "-H", HELD, "-H", "245C9212114"],
        ["postsuper", "-H", HELD],
    ]
    # What is so already is left alone.
    assert call("hold", HELD).output == "0 messages held\n"
    assert len(engine.calls) == 3


def test_delete_shows_what_and_asks(engine: FakeEngine) -> None:
    done = call("delete", WAITING)
    assert done.exit_code == 2
    assert f"{WAITING}  waits" in done.output
    assert "--yes" in done.output
    assert engine.calls == []
    assert call("delete", WAITING, HELD, "--yes").output == "2 messages deleted\n"
    assert engine.calls == [["postsuper", "-d", WAITING, "-d", HELD]]


@pytest.mark.parametrize(("typed", "deleted"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_delete_at_a_terminal(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, typed: str, deleted: bool
) -> None:
    monkeypatch.setattr(commands, "_is_asked", lambda: True)
    done = call("delete", "--all", typed=typed)
    assert (done.exit_code == 0) == deleted
    assert bool(engine.calls) == deleted
    assert done.output.count("from ada@example.com") == 7


@pytest.mark.parametrize("verb", ["hold", "release", "delete"])
def test_nobody_changes_all_by_a_slip(engine: FakeEngine, verb: str) -> None:
    yes = ("--yes",) if verb == "delete" else ()
    for words in ((), ("--all", WAITING)):
        done = call(verb, *words, *yes)
        assert done.exit_code == 2
        assert "--all" in done.output
    for name in ("ALL", "nothing"):
        done = call(verb, *yes, name)
        assert isinstance(done.exception, QueueError)
    assert engine.calls == []


def test_without_postfix(engine: FakeEngine) -> None:
    engine.status = "exited"
    done = call("list")
    assert isinstance(done.exception, EngineError)
    assert "the container mta does not run" in done.exception.message
