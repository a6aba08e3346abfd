"""XCHECK: a check of the whole vault, a step a command, for `mailstead vault check`.

An experimental command (RFC 3501 6.5.1). Request: `XCHECK`, then `XCHECK step after done total`
with what the step before answered. Answers: `* XPROBLEM "text"` for each problem that this step
found, and `* XCHECK step after done total`, with `END` in place of a step after the last.
"""

from __future__ import annotations

from postmaster.imap import wire
from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import SyntaxFaultError
from postmaster.imap.registry import LOGGED_IN, Done, command
from postmaster.imap.session import Session
from postmaster.storage.interface import CheckPoint


@command("XCHECK", LOGGED_IN)
async def check_vault(session: Session, parser: Parser) -> Done:
    """Look at a part of the vault."""
    point = CheckPoint()
    if parser.accept(b" "):
        step = parser.atom().lower()
        after, done, total = (_number(parser) for _ in range(3))
        point = CheckPoint(step, after, done, total)
    parser.end()
    try:
        checked = await session.run(lambda box: box.check(point))
    except ValueError as error:
        raise SyntaxFaultError("there is no such step") from error
    await session.send(b"* XPROBLEM " + wire.string(text.encode()) for text in checked.problems)
    step = "END" if checked.finished else checked.step
    line = f"* XCHECK {step} {checked.after} {checked.done} {checked.total}"
    await session.send([line.encode()])
    return Done("finished" if checked.finished else "go on with the next step")


def _number(parser: Parser) -> int:
    parser.space()
    return parser.number64()
