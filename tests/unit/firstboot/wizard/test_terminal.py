"""The wizard on a terminal: real keys through a pty, and the screens that come of them."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import urwid

from firstboot.base.paths import Paths
from firstboot.base.questions.catalogue import questions
from firstboot.base.questions.model import Facts, Kind, Question
from firstboot.base.settings import parse_settings
from firstboot.wizard.draft import Draft, read_draft, write_draft
from firstboot.wizard.flow import Flow
from firstboot.wizard.terminal.form import Field, Form
from firstboot.wizard.terminal.page import Page
from firstboot.wizard.terminal.plain import PlainFront
from firstboot.wizard.terminal.screen import HELP_ROWS
from tests.unit.firstboot.emulator import Emulator, emulate
from tests.unit.firstboot.samples import SETTINGS
from tests.unit.firstboot.test_questions import FACTS, TYPED, answer_all

CHECKOUT = Path(__file__).parents[4]
PASSWORD = TYPED["people[0].password_hash"]
RELAY = TYPED["relay.password"]
ENTER, ESC, DOWN, TAB, CTRL_C, CTRL_L = "\r", "\x1b", "\x1b[B", "\t", "\x03", "\x0c"
# Each screen's title, and the keys that answer it rightly.
SCREENS = (
    ("Network", ENTER),
    ("Domains", f"example.com{ENTER}"),
    ("Name of the machine", ENTER),
    ("First person", f"ada{ENTER}Ada Lovelace{ENTER}{PASSWORD}{ENTER}{PASSWORD}{ENTER}"),
    ("Sending mail", ENTER),
    ("Disk protection", f"{DOWN}{ENTER}"),
    ("Certificate", f"{DOWN} {ENTER}"),
    ("Upgrades", ENTER),
    ("Backups", ENTER),
    ("Administrator", f"{PASSWORD}{ENTER}{PASSWORD}{ENTER}"),
)


@contextlib.contextmanager
def asking(
    paths: Paths, *words: str, term: str = "vt220", rows: int = 24, columns: int = 80
) -> Iterator[Emulator]:
    argv = (sys.executable, "-m", "tests.unit.firstboot.wizard.ask")
    env = {"PYTHONPATH": str(CHECKOUT), "LC_ALL": "C.UTF-8"}
    root = paths.state_partition.parent
    options = {"term": term, "rows": rows, "columns": columns}
    with emulate((*argv, root, *(words or ("screen",))), env=env, **options) as found:  # type: ignore[arg-type]
        yield found


def test_a_whole_setup(paths: Paths) -> None:
    with asking(paths) as terminal:
        for number, (title, keys) in enumerate(SCREENS, start=1):
            terminal.expect(f"step {number} of {len(SCREENS)}")
            shown = terminal.expect("Esc back").splitlines()
            assert f"Mailstead   Setup: {title}" in shown[0]
            assert "Esc back" in shown[-1]
            terminal.send(keys)
        terminal.expect("Setup: Summary")
        summary = terminal.expect("Esc back")
        # All of it at once, when nothing is asked that could be left out.
        assert "First person         Address        ada@example.com" in summary
        assert "Administrator        Menu password  set" in summary
        assert "more" not in summary
        assert PASSWORD not in terminal.raw.decode()
        terminal.send(ENTER)
        assert terminal.ended() == 0
    settings = parse_settings(paths.handed.read_text(), "x")
    assert settings.hostname == "mail.example.com"
    assert settings.disk.protection == "key-file"
    assert settings.tls.method == "self-signed"
    assert settings.administrator.password_hash is not None


def test_a_smart_host(paths: Paths) -> None:
    """More is asked when there is one; its password is not shown, neither now nor later."""
    done = tuple(step.name for step in Flow(Draft(), FACTS).steps if step.name != "sending")
    typed = {key: text for key, text in answer_all().items() if not key.startswith("relay")}
    write_draft(paths, Draft(typed=typed, done=done))
    with asking(paths) as terminal:
        terminal.expect("Setup: Sending mail")
        terminal.send(f"smtp.example.net{ENTER}")
        terminal.expect("How is the line to it encrypted?")
        terminal.send(f"{ENTER}{ENTER}ada{ENTER}")
        # The cursor is where something is missing.
        terminal.expect("Which password does it want?")
        terminal.send(RELAY)
        terminal.expect("*" * len(RELAY))
        terminal.send(ENTER)
        terminal.expect("Setup: Disk protection")
        assert RELAY not in terminal.raw.decode()
    relay = parse_settings(Flow(read_draft(paths), FACTS).settings_text(), "x").relay
    assert (relay.host, relay.tls, relay.number) == ("smtp.example.net", "starttls", 587)
    assert (relay.username, relay.password) == ("ada", RELAY)


def test_killed_at_each_step_it_goes_on_there(paths: Paths) -> None:
    for number, (title, keys) in enumerate(SCREENS, start=1):
        with asking(paths) as terminal:
            terminal.expect(f"step {number} of {len(SCREENS)}")
            assert title in terminal.text
            terminal.send(keys)
            following = f"step {number + 1}" if number < len(SCREENS) else "Summary"
            terminal.expect(following)
            terminal.kill()
    with asking(paths) as terminal:
        terminal.expect("Setup: Summary")
        terminal.send(ENTER)
        assert terminal.ended() == 0


def test_every_step_can_be_gone_back_to(paths: Paths) -> None:
    done = tuple(step.name for step in Flow(Draft(), FACTS).steps)
    write_draft(paths, Draft(typed=answer_all(), done=done))
    with asking(paths) as terminal:
        terminal.expect("Setup: Summary")
        for number, (title, _keys) in reversed(tuple(enumerate(SCREENS, start=1))):
            terminal.send(ESC)
            shown = terminal.expect(f"step {number} of {len(SCREENS)}")
            assert title in shown.splitlines()[0]
        terminal.expect("(*) With addresses that I type")
        terminal.send(ESC)
        assert terminal.ended() == 9
    assert not paths.handed.exists()


def test_what_does_not_fit_on_a_screen_is_announced(paths: Paths) -> None:
    done = tuple(step.name for step in Flow(Draft(), FACTS).steps)
    write_draft(paths, Draft(typed=answer_all(), done=done))
    with asking(paths) as terminal:
        terminal.expect("more below: arrows")
        terminal.send(DOWN * 20)
        shown = terminal.expect("more above: arrows")
        assert "Menu password" in shown
        assert "With addresses that I type" not in shown


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.key)
def test_help_has_room(question: Question) -> None:
    flow = Flow(Draft(typed=answer_all()), FACTS)
    (step,) = (step for step in flow.steps if question in step.questions)
    field = Field(Page(flow, step, 1, 1), question)
    for row in field.rows:
        assert urwid.Text(field.help(row)).rows((80 - 1,)) <= HELP_ROWS


def test_a_choice_can_be_left_open() -> None:
    flow = Flow(Draft(typed={"network.method": "dhcp"}), FACTS)
    (step,) = (step for step in flow.steps if step.name == "network")
    form = Form(Page(flow, step, 1, 1))
    assert form.typed()["network.interface"] == ""
    for _ in step.asked(flow.context):
        form.keypress((78, 16), "enter")
    assert form.typed() == {"network.method": "dhcp", "network.interface": ""}
    outcome = flow.submit(step, form.typed())
    assert outcome.is_done
    shown = {row.question.key: row.shown for row in outcome.flow.summary()}
    assert shown["network.interface"] == "No preference"
    source, target = io.StringIO("1\n2\n"), io.StringIO()
    assert PlainFront(source, target).ask(Page(flow, step, 1, 1)) == {
        "network.method": "dhcp",
        "network.interface": "enp1s0",
    }
    assert "  1  No preference\n  2  enp1s0\n  3  enp2s0\n[1] > " in target.getvalue()


def test_errors_stand_next_to_their_fields(paths: Paths) -> None:
    with asking(paths) as terminal:
        terminal.expect("step 1")
        terminal.send(ENTER)
        terminal.expect("step 2")
        terminal.send(f"gmail.com{ENTER}")
        terminal.expect("somebody else's")
        terminal.expect_cursor("> gmail.com")
        lines = terminal.text.splitlines()
        field = next(at for at, line in enumerate(lines) if "> gmail.com" in line)
        assert lines[field + 1].strip().startswith("! gmail.com is somebody else's")
        # What was typed is still there, and can be corrected.
        terminal.send("\b" * len("gmail.com") + f"example.con{ENTER}")
        terminal.expect("Did you mean example.com?")
        terminal.send(f"\b\bom.{ENTER}")
        terminal.expect("step 3")
        terminal.expect("* Taken as example.com, without the dot")
    assert read_draft(paths).answers["domains[].name"] == ("example.com",)


def test_a_network_that_does_not_work_is_taken_when_somebody_insists(paths: Paths) -> None:
    with asking(paths, "screen", "The gateway 192.0.2.1 does not answer.") as terminal:
        terminal.expect("step 1")
        terminal.send(f"{DOWN}{ENTER}")
        terminal.expect("Which router")
        terminal.send(f"192.0.2.10/24{ENTER}192.0.2.1{ENTER}192.0.2.1{ENTER}")
        terminal.expect("! The gateway 192.0.2.1 does not answer.")
        terminal.send(ENTER * 2)
        terminal.expect("step 2")


def test_done_elsewhere_meanwhile(paths: Paths) -> None:
    with asking(paths) as terminal:
        terminal.expect("step 1")
        paths.settings.write_text(SETTINGS)
        assert terminal.ended() == 9


def test_answers_that_were_given_elsewhere_meanwhile(paths: Paths) -> None:
    with asking(paths) as terminal:
        terminal.expect("step 1")
        write_draft(paths, Draft(typed={"hostname": "mail.example.net"}))
        terminal.send(ENTER)
        terminal.expect("were changed elsewhere")
        terminal.send(ENTER)
        terminal.expect("step 2")
    assert read_draft(paths).answers["hostname"] == "mail.example.net"


def test_a_serial_line_at_9600_baud_does_not_drown(paths: Paths) -> None:
    # It does not say how large it is, either.
    with asking(paths, rows=0, columns=0) as terminal:
        terminal.expect("Esc back")
        # A whole screen takes less than three seconds (960 bytes a second).
        assert terminal.received < 2800
        terminal.send(ENTER)
        terminal.expect("its xn-- form.")
        terminal.expect_cursor(">")
        before = terminal.received
        terminal.send("e")
        terminal.expect("> e")
        # A key takes less than half a second.
        assert terminal.received - before < 480


def test_a_screen_that_others_wrote_over_is_drawn_again(paths: Paths) -> None:
    with asking(paths) as terminal:
        # The last line: all of the screen is drawn.
        terminal.expect("Esc back")
        terminal._stream.feed(b"\x1b[5;1Hmailstead: waiting for settings")
        assert "waiting for settings" in terminal.text
        terminal.send(CTRL_L)
        terminal.expect("How does this machine get its addresses?")


def test_a_terminal_that_is_too_small(paths: Paths) -> None:
    with asking(paths, rows=10, columns=40) as terminal:
        assert terminal.ended() == 1


@pytest.mark.parametrize("term", ["linux", "vt102", "xterm"])
def test_other_terminals(paths: Paths, term: str) -> None:
    with asking(paths, term=term) as terminal:
        terminal.expect("How does this machine get its addresses?")
        terminal.send(CTRL_C)
        assert terminal.ended() == 9


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.value)
def test_every_kind_of_question_has_a_field(kind: Kind) -> None:
    for question in questions():
        if question.kind is kind:
            flow = Flow(Draft(typed=answer_all()), FACTS)
            (step,) = (step for step in flow.steps if question in step.questions)
            (field,) = (
                field for field in Form(Page(flow, step, 1, 1)).fields if field.question is question
            )
            wanted = "" if kind.is_hidden else None
            typed = field.typed()[question.key]
            assert typed == wanted or (wanted is None and typed)
            assert field.help(field.rows[0]).endswith(".")


# Plain prompts.


def talk(paths: Paths, *lines: str) -> tuple[int, str]:
    """The wizard with pipes in place of a terminal."""
    argv = [sys.executable, "-m", "tests.unit.firstboot.wizard.ask"]
    argv += [str(paths.state_partition.parent), "plain"]
    text = "\n".join(lines) + "\n"
    env = {"PYTHONPATH": str(CHECKOUT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(argv, input=text, capture_output=True, text=True, env=env, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_plain_prompts(paths: Paths) -> None:
    answers = ["", "example.com", "", "ada", "", PASSWORD, PASSWORD]
    answers += ["smtp.example.net", "", "1", "ada", "", "", "", RELAY, "2", "2"]
    code, said = talk(paths, *answers, "", "", PASSWORD, PASSWORD, "yes")
    assert code == 0, said
    assert "[mail.example.com] > " in said
    assert "== Setup: Summary ==" in said
    assert PASSWORD not in said
    assert RELAY not in said
    assert all(len(line) <= 79 for line in said.splitlines())
    settings = parse_settings(paths.handed.read_text(), "x")
    assert settings.disk.protection == "key-file"
    assert settings.people[0].address == "ada@example.com"
    assert (settings.relay.username, settings.relay.password) == ("ada", RELAY)


def test_plain_prompts_tell_what_is_wrong_and_go_back(paths: Paths) -> None:
    code, said = talk(paths, "?", "9", "1", "gmail.com", "<", "!")
    assert code == 9
    assert "Right for nearly every network" in said
    assert "! Choose one of: dhcp, static." in said
    assert "! gmail.com is somebody else's domain" in said
    assert said.count("== Setup: Network (step 1 of") == 3
    assert "Which addresses" not in said


def test_plain_prompts_end_with_the_input(paths: Paths) -> None:
    code, said = talk(paths)
    assert code == 9
    assert said.endswith("left\n")


def test_facts_may_be_unknown() -> None:
    assert Form(Page(Flow(Draft(), Facts()), Flow(Draft()).steps[0], 1, 1)).help
