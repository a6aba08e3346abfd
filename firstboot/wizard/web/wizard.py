"""What all pages share: the machine's files, who is paired, and how far setup is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from firstboot.base.errors import MailsteadError
from firstboot.base.paths import Paths
from firstboot.base.questions.model import Facts
from firstboot.base.settings import read_settings
from firstboot.wizard.draft import StaleDraftError, read_draft, write_draft
from firstboot.wizard.flow import Flow, Outcome
from firstboot.wizard.web.kit import Kit, KitDesk
from firstboot.wizard.web.pairing import Pairing, Session, Sessions
from firstboot.wizard.web.progress import Progress, read_lines, read_progress
from firstboot.wizard.web.records import DnsRecord


@dataclass
class Wizard:
    """The state of the web wizard; what lasts is in the draft.

    `records` gives the DNS records to show in the end, which may take seconds. `shown` is when
    (time.monotonic) the last page was shown. `kit_kept`: a part of the recovery kit was typed back.
    """

    paths: Paths
    facts: Facts
    pairing: Pairing
    fingerprint: str
    records: Callable[[], tuple[DnsRecord, ...]]
    kit_desk: KitDesk
    sessions: Sessions = field(default_factory=Sessions)
    handed: int = 0
    shown: float | None = None
    kit_kept: bool = False
    _kit: Kit | None = None
    _fetching: threading.Lock = field(default_factory=threading.Lock)
    _written: dict[int, Session] = field(default_factory=dict)
    # A password's hash takes 64 MiB: one at a time.
    _answering: threading.Lock = field(default_factory=threading.Lock)

    @property
    def flow(self) -> Flow:
        return Flow(read_draft(self.paths), self.facts)

    @property
    def is_handed_over(self) -> bool:
        """Whether the machine has, or is about to take, its settings."""
        return self.paths.handed.exists() or self.paths.settings.exists()

    @property
    def progress(self) -> Progress:
        return read_progress(read_lines(self.paths), self.handed)

    @property
    def refused(self) -> bool:
        """Whether the machine does not take what was handed over."""
        progress = self.progress
        return bool(
            progress.errors
            and not progress.taken
            and self.paths.handed.exists()
            and not self.paths.settings.exists()
        )

    @property
    def offers_kit(self) -> bool:
        """Whether the machine is ready, and has a place for backups that the kit opens."""
        if not (self.progress.ready and self.paths.settings.exists()):
            return False
        try:
            settings = read_settings(self.paths.settings)
        except MailsteadError:
            return False
        return settings is not None and bool(settings.backup.targets)

    def fetch_kit(self) -> Kit | None:
        """The recovery kit, None when it is kept or cannot be had; may take seconds."""
        with self._fetching:
            if self._kit is None and not self.kit_kept:
                self._kit = self.kit_desk.fetch()
            return self._kit

    def confirm_kit(self, group: str) -> bool:
        """Whether that was typed back rightly; then the kit is not given out any more."""
        with self._fetching:
            if self.kit_desk.confirm(group):
                self._kit, self.kit_kept = None, True
            return self.kit_kept

    def at_revision(self, revision: str, session: Session) -> Flow:
        """The flow, if nobody but this session has changed it since a page showed `revision`.

        A browser that goes back shows an old page of its own: that is no change elsewhere. Raises
        StaleDraftError.
        """
        flow = self.flow
        present = flow.draft.revision
        shown = int(revision) if revision.isascii() and revision.isdigit() else -1
        others = (self._written.get(number) for number in range(shown + 1, present + 1))
        if not 0 <= shown <= present or any(writer is not session for writer in others):
            raise StaleDraftError("the answers were changed elsewhere meanwhile")
        return flow

    def answer(
        self, step_name: str, typed: Mapping[str, str], revision: str, session: Session
    ) -> Outcome:
        """Take what was typed for a step; may take a second. Raises StaleDraftError."""
        with self._answering:
            flow = self.at_revision(revision, session)
            step = next((step for step in flow.steps if step.name == step_name), None)
            if step is None:
                raise StaleDraftError(f"there is nothing more to ask in {step_name}")
            outcome = flow.submit(step, typed)
            written = write_draft(self.paths, outcome.flow.draft)
            self._written[written.revision] = session
            outcome.flow = replace(outcome.flow, draft=written)
            return outcome

    def hand_over(self, revision: str, session: Session) -> None:
        """Give the machine its settings. Raises StaleDraftError, and SettingsError when wrong."""
        flow = self.at_revision(revision, session)
        self.note_lines()
        flow.finish(self.paths)

    def note_lines(self) -> None:
        """Remember what the machine had said before the settings were handed over, by whomever."""
        said = len(read_lines(self.paths))
        if not self.is_handed_over:
            self.handed = said

    def note_shown(self) -> None:
        """The last page has been seen; the first time counts."""
        if self.shown is None:
            self.shown = time.monotonic()
