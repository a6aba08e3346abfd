"""One request of a paired browser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request

from firstboot.wizard.web.pairing import Session
from firstboot.wizard.web.wizard import Wizard


@dataclass(frozen=True)
class Visit:
    """A request with all that it takes to answer it; `form` is what was sent, if anything."""

    wizard: Wizard
    request: Request
    token: str
    session: Session
    form: Mapping[str, str] = field(default_factory=dict)

    def form_token(self, path: str) -> str:
        """What a form that is sent to `path` must carry."""
        return self.wizard.sessions.form_token(self.token, path)

    def take_notes(self) -> dict[str, str]:
        """What is to be told about the step before, once."""
        notes, self.session.notes = self.session.notes, {}
        return notes

    def take_notice(self) -> str:
        notice, self.session.notice = self.session.notice, ""
        return notice
