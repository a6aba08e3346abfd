"""All steps of setup, in the order in which they are asked."""

from __future__ import annotations

from firstboot.base.questions import backup, mail, network, sending, upkeep
from firstboot.base.questions.model import Context, Question, Step

STEPS: tuple[Step, ...] = (
    network.STEP,
    mail.DOMAINS,
    mail.NAMES,
    mail.FIRST_PERSON,
    sending.STEP,
    upkeep.DISK,
    upkeep.TLS,
    upkeep.UPDATES,
    backup.STEP,
    upkeep.ADMINISTRATOR,
)


def questions() -> tuple[Question, ...]:
    """Every question of every step."""
    return tuple(question for step in STEPS for question in step.questions)


def asked_questions(context: Context) -> tuple[Question, ...]:
    """Every question that makes sense with the answers so far, in order."""
    return tuple(question for step in STEPS for question in step.asked(context))


def find_question(key: str) -> Question:
    """The question with that key; KeyError when there is none."""
    for question in questions():
        if question.key == key:
            return question
    raise KeyError(key)
