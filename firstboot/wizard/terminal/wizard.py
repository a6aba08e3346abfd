"""Asks step by step on one terminal, keeping each answer, until the settings can be handed over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from firstboot.base.errors import SettingsError
from firstboot.base.paths import Paths
from firstboot.base.questions.model import Facts, Kind, Step
from firstboot.wizard.draft import StaleDraftError, read_draft, write_draft
from firstboot.wizard.flow import AGAIN, Flow, Outcome
from firstboot.wizard.terminal.page import Front, Move, Page

# Tries the network of the answers; says what does not work, or nothing.
TryNetwork = Callable[[Flow], str]
NETWORK = "network"


@dataclass
class Wizard:
    """One run on one terminal. `said` and the like belong to the page that is shown next."""

    paths: Paths
    facts: Facts
    front: Front
    try_network: TryNetwork
    typed: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    doubts: Mapping[str, str] = field(default_factory=dict)
    notice: str = ""
    # The answers to the network for which somebody was told that they do not work.
    network_insisted: Mapping[str, str] | None = None

    def run(self) -> bool:
        """True when settings were handed over; False when somebody left, or it was done elsewhere.

        Whatever was answered is kept, so that the next run goes on from there.
        """
        step = self.flow.present
        while True:
            reply = self._confirm() if step is None else self._ask(step)
            if reply is True:
                return True
            if reply in (Move.LEAVE, Move.OVERTAKEN):
                return False
            if reply is Move.BACK:
                earlier = self.flow.before(step)
                if earlier is None:
                    return False
                step = earlier
            elif reply is None:
                step = self._next(step)
            # Otherwise the same once more.

    @property
    def flow(self) -> Flow:
        """The answers as they are now: another front may be at work as well."""
        return Flow(read_draft(self.paths), self.facts)

    def _next(self, step: Step | None) -> Step | None:
        flow = self.flow
        following = flow.after(step) if step is not None else None
        # At the end nothing may be left open.
        return following if following is not None else flow.present

    def _confirm(self) -> bool | Move | None:
        """True when handed over; None when something is open again."""
        flow, notice = self.flow, self._take_notice()
        if flow.present is not None:
            return None
        reply = self.front.confirm(flow.summary(), flow.draft.given.source, notice)
        if reply is not True:
            return reply
        try:
            flow.finish(self.paths)
        except SettingsError as error:
            self.notice = str(error)
            return False
        return True

    def _ask(self, step: Step) -> bool | Move | None:
        """None when the step is done, False when it has to be shown again."""
        flow = self.flow
        names = [each.name for each in flow.steps]
        number = names.index(step.name) + 1 if step.name in names else 1
        page = Page(
            flow,
            step,
            number,
            max(len(names), 1),
            self.typed,
            self.problems,
            self.doubts,
            self._take_notice(),
        )
        reply = self.front.ask(page)
        self.typed, self.problems, self.doubts = {}, {}, {}
        if isinstance(reply, Move):
            return reply
        return self._submit(page, reply)

    def _submit(self, page: Page, typed: Mapping[str, str]) -> bool | None:
        if any(typed.get(q.key) for q in page.questions if q.kind is Kind.PASSWORD):
            self.front.tell("One moment …")
        outcome = page.flow.submit(page.step, typed)
        try:
            write_draft(self.paths, outcome.flow.draft)
        except StaleDraftError as error:
            self.notice = f"{str(error).capitalize()}. {error.hint}"
            return False
        if outcome.is_done and self._network_works(page, outcome, typed):
            self.notice = " ".join(outcome.notes.values())
            return None
        self._keep(page, typed, outcome)
        return False

    def _network_works(self, page: Page, outcome: Outcome, typed: Mapping[str, str]) -> bool:
        if page.step.name != NETWORK or typed == self.network_insisted:
            return True
        if outcome.flow.context.text("network.method") != "static":
            return True
        self.front.tell("Trying this network …")
        problem = self.try_network(outcome.flow)
        if problem:
            self.network_insisted = dict(typed)
            outcome.doubts["network.gateways"] = problem
        return not problem

    def _keep(self, page: Page, typed: Mapping[str, str], outcome: Outcome) -> None:
        secret = {q.key for q in page.questions if q.kind.is_hidden}
        shown = {key: text for key, text in typed.items() if key.removesuffix(AGAIN) not in secret}
        self.typed, self.problems, self.doubts = shown, outcome.problems, outcome.doubts

    def _take_notice(self) -> str:
        notice, self.notice = self.notice, ""
        return notice
