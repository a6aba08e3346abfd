"""From what somebody typed to an answer, the same for every front."""

from __future__ import annotations

import re

from firstboot.base.questions.model import NO, YES, Answer, Context, Kind, Question, Verdict

MAX_CHARACTERS = 4000


def judge(question: Question, typed: str, context: Context, *, again: str | None = None) -> Verdict:
    """Judge what was typed or chosen.

    Choices are given by their value, yes and no as `yes` and `no`, lists with commas or white space
    between, secrets as they are. `again` is a password typed once more, None where nobody asked for
    that; the value of a password is left empty, since what is kept is its hash.
    """
    if len(typed) > MAX_CHARACTERS:
        return Verdict("", problem=f"That is too long: at most {MAX_CHARACTERS} characters.")
    if question.kind is Kind.PASSWORD:
        return _judge_password(question, typed, context, again)
    if question.kind is Kind.SECRET:
        wanted = "" if typed or question.optional else "Something goes here."
        return question.check(typed, context) if typed else Verdict("", problem=wanted)
    text = typed.strip()
    if any(not letter.isprintable() and not letter.isspace() for letter in text):
        return Verdict("", problem="That has characters in it that cannot be seen.")
    if question.kind is Kind.LIST:
        return _judge_list(question, text, context)
    return _judge_text(question, text, context)


def judge_answer(question: Question, answer: Answer, context: Context) -> Verdict:
    """Judge an answer that was given before: others may have changed since."""
    if question.kind is Kind.PASSWORD:
        return Verdict(answer, problem="" if answer or question.optional else "Choose a password.")
    return judge(question, typed_form(answer), context)


def typed_form(answer: Answer) -> str:
    """How somebody would type an answer."""
    match answer:
        case bool():
            return YES if answer else NO
        case tuple():
            return ", ".join(answer)
    return answer


def sentence(problem: str) -> str:
    """A problem as the rules of the settings name it (`expected …`) as a sentence."""
    return f"{problem[:1].upper()}{problem[1:].rstrip('.')}." if problem else ""


def _judge_password(question: Question, typed: str, context: Context, again: str | None) -> Verdict:
    if not typed:
        wanted = "" if question.optional else "Choose a password."
        return Verdict("", problem=wanted)
    verdict = question.check(typed, context)
    if not verdict.problem and again is not None and again != typed:
        return Verdict("", problem="The two are not the same. Type both once more.")
    return Verdict("", verdict.problem, verdict.doubt, verdict.note)


def _judge_text(question: Question, text: str, context: Context) -> Verdict:
    known = [choice.value for choice in question.choices(context)]
    if not text:
        wanted = f"Choose one of: {', '.join(known)}." if known else "Something goes here."
        return Verdict("", problem="" if question.optional else wanted)
    if question.kind is Kind.YES_NO:
        return _judge_yes_no(text)
    if question.kind is Kind.CHOICE and text not in known:
        return Verdict("", problem=f"Choose one of: {', '.join(known)}.")
    return question.check(text, context)


def _judge_list(question: Question, text: str, context: Context) -> Verdict:
    items = tuple(item for item in re.split(r"[\s,;]+", text) if item)
    if not items:
        return Verdict((), problem="" if question.optional else "At least one is needed.")
    return question.check_list(items, context)


def _judge_yes_no(text: str) -> Verdict:
    word = text.lower()
    if word in {YES, "y", "true"}:
        return Verdict(True)
    if word in {NO, "n", "false"}:
        return Verdict(False)
    return Verdict("", problem="Answer yes or no.")
