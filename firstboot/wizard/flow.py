"""The way through the questions: which step comes when, what was typed, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from firstboot.base.handover import hand_over
from firstboot.base.passwords import hash_password
from firstboot.base.paths import Paths
from firstboot.base.questions.assemble import assemble
from firstboot.base.questions.catalogue import STEPS
from firstboot.base.questions.judge import judge, judge_answer, typed_form
from firstboot.base.questions.model import (
    NO,
    YES,
    Answer,
    Choice,
    Context,
    Facts,
    Kind,
    Question,
    Step,
    Verdict,
)
from firstboot.base.sections import Network
from firstboot.base.settings import parse_settings
from firstboot.wizard.draft import Draft

# What is typed once more for a password has its key with this behind.
AGAIN = " again"


@dataclass(frozen=True)
class Row:
    """A line of the summary: the question's title, its answer in words, where that came from."""

    step: Step
    question: Question
    shown: str
    given: bool


@dataclass(frozen=True)
class Flow:
    """The draft of a machine, and what can be done with it; each change makes a new one."""

    draft: Draft
    facts: Facts = field(default_factory=Facts)

    @property
    def context(self) -> Context:
        return Context(self.draft.answers, self.facts)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that have something to ask; what a seed says is not asked again."""
        return tuple(step for step in STEPS if self._has_open(step))

    @property
    def present(self) -> Step | None:
        """The first step that is not done or no longer right, None when the summary is next."""
        return next((step for step in self.steps if not self.is_done(step)), None)

    def is_done(self, step: Step) -> bool:
        return step.name in self.draft.done and not self.problems(step)

    def problems(self, step: Step) -> dict[str, str]:
        """What is wrong with the answers to a step, by key; others may have changed since."""
        found: dict[str, str] = {}
        for question in step.asked(self.context):
            answer = self.draft.answers.get(question.key)
            empty: Answer = () if question.kind is Kind.LIST else ""
            verdict = judge_answer(question, empty if answer is None else answer, self.context)
            if verdict.problem:
                found[question.key] = verdict.problem
        return found

    def before(self, step: Step | None) -> Step | None:
        """The step before one, or before the summary (None); None before the first."""
        steps = self.steps
        if step is None:
            return steps[-1] if steps else None
        earlier = steps[: _position(steps, step)]
        return earlier[-1] if earlier else None

    def after(self, step: Step) -> Step | None:
        """The step after one, None when that is the summary."""
        later = self.steps[_position(self.steps, step) + 1 :]
        return later[0] if later else None

    def submit(self, step: Step, typed: Mapping[str, str]) -> Outcome:
        """Take what was typed for a step's questions, by their keys.

        A password's repetition has its key with AGAIN behind; without one it need not be repeated.
        Right answers are in the draft of the outcome even where others are wrong. A question that
        is asked only because of another answer in `typed`, and has none there, leaves the step
        undone: show the step again. May take half a second, to hash a password.
        """
        draft = self.draft
        outcome = Outcome(self)
        for question in step.questions:
            context = Context(draft.answers, self.facts)
            if not question.asked(context):
                continue
            if question.key not in typed:
                outcome.complete = outcome.complete and draft.is_given(question.key)
                continue
            text = typed[question.key]
            verdict = self._judge(question, typed, context)
            insisted = draft.insisted.get(question.key) == text
            outcome.note(question.key, verdict, insisted=insisted)
            if verdict.doubt and not verdict.problem:
                draft = replace(draft, insisted={**draft.insisted, question.key: text})
            if not verdict.problem:
                answer = self._answer(question, text, verdict)
                draft = replace(draft, typed={**draft.typed, question.key: answer})
        others = tuple(name for name in draft.done if name != step.name)
        draft = replace(draft, done=(*others, step.name) if outcome.is_done else others)
        outcome.flow = replace(self, draft=draft)
        return outcome

    def summary(self) -> tuple[Row, ...]:
        """What will be set up."""
        context = self.context
        return tuple(
            Row(step, question, self.shown(question), self.draft.is_given(question.key))
            for step in STEPS
            for question in step.asked(context)
        )

    def shown(self, question: Question) -> str:
        """An answer in words, never a password, its hash or a secret."""
        answer = self.draft.answers.get(question.key)
        if question.kind is Kind.CHOICE:
            for choice in choices(question, self.context):
                if choice.value == (answer or ""):
                    return choice.title
        if answer is None or answer in ("", ()):
            return "none"
        return "set" if question.kind.is_hidden else typed_form(answer)

    def settings_text(self) -> str:
        """The settings that come of it, as YAML."""
        return assemble(self.draft.answers, self.facts, self.draft.given.values)

    def settings_network(self) -> Network:
        """The part of the settings about the network, whatever else is still open."""
        answers = {
            key.removeprefix("network."): answer
            for key, answer in self.draft.answers.items()
            if key.startswith("network.") and answer not in ("", ())
        }
        return Network.model_validate(answers)

    def finish(self, paths: Paths) -> None:
        """Hand the settings to the machine, which takes them within seconds.

        Raises SettingsError when they are not right after all, and hands nothing over then.
        """
        text = self.settings_text()
        parse_settings(text, "these answers")
        hand_over(paths, text)

    def _has_open(self, step: Step) -> bool:
        asked = step.asked(self.context)
        wrong = self.problems(step)
        return any(not self.draft.is_given(q.key) or q.key in wrong for q in asked)

    def _judge(self, question: Question, typed: Mapping[str, str], context: Context) -> Verdict:
        text = typed[question.key]
        kept = context.answers.get(question.key)
        if question.kind.is_hidden and not text and kept:
            # Nobody types a password again that was taken before.
            return Verdict(kept)
        return judge(question, text, context, again=typed.get(question.key + AGAIN))

    def _answer(self, question: Question, text: str, verdict: Verdict) -> Answer:
        is_new = question.kind is Kind.PASSWORD and text
        return hash_password(text) if is_new else verdict.value


@dataclass
class Outcome:
    """What became of a step: the flow from here on, and by key what to tell about the answers.

    `doubts` stand there once: the same typed again is taken.
    """

    flow: Flow
    problems: dict[str, str] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    complete: bool = True

    @property
    def is_done(self) -> bool:
        """Whether the next step can come."""
        return self.complete and not self.problems and not self.doubts

    def note(self, key: str, verdict: Verdict, *, insisted: bool) -> None:
        if verdict.problem:
            self.problems[key] = verdict.problem
        elif verdict.doubt and not insisted:
            self.doubts[key] = verdict.doubt
        if verdict.note:
            self.notes[key] = verdict.note


def choices(question: Question, context: Context) -> tuple[Choice, ...]:
    """What can be chosen, nothing where something is typed; an optional choice can be left open."""
    if question.kind is Kind.YES_NO:
        return (Choice(YES, "Yes", ""), Choice(NO, "No", ""))
    if question.kind is not Kind.CHOICE:
        return ()
    found = question.choices(context)
    return (Choice("", "No preference", ""), *found) if question.optional else found


def _position(steps: tuple[Step, ...], step: Step) -> int:
    names = [each.name for each in steps]
    return names.index(step.name) if step.name in names else len(names)
