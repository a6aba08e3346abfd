"""The verbs by which people change what is theirs in the settings, by the web pages.

Nobody has to be signed in at the machine for these: each asks for the person's own password, which
the directory checks, with the limits of a login. So whoever breaks into the container `admin` can
change nothing for somebody whose password he does not have.
"""

# ruff: noqa: PLC0415 - verbs import what they need when they run, as commands do

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from firstboot.administration.protocol import (
    Arguments,
    BusyError,
    Call,
    DeniedError,
    InvalidError,
    Result,
    Verb,
)
from firstboot.base.engine import Engine
from firstboot.base.paths import Paths


class OwnArguments(Arguments):
    """Who it is; `from` is the browser's address, as the proxy sees it."""

    address: str = Field(max_length=254)
    password: str = Field(max_length=1024, repr=False)
    client: str = Field(alias="from", max_length=64)


class OwnForwards(OwnArguments):
    """As of `mailstead user forward`."""

    forward_to: list[str] = Field(max_length=100)


class OwnVault(OwnArguments):
    """What for."""

    purpose: Literal["count", "export"]


class OwnEnd(OwnArguments):
    """`typed`: the main address, as a sign that it is meant."""

    typed: str = Field(max_length=254)


@dataclass(frozen=True)
class Own:
    """The verbs."""

    paths: Paths
    engine: Engine

    def forward(self, _call: Call, wanted: OwnForwards) -> Result:
        """Send copies of one's own mail elsewhere, or no more."""
        from firstboot.people.office import Office

        person = str(self._proven(wanted, ("prove",))["person"])
        office = Office(self.paths, self.engine, who=f"{person} {wanted.client}")
        return {"when": office.forward(person, wanted.forward_to)}

    def open(self, _call: Call, wanted: OwnVault) -> Result:
        """Make a pass for the mail store, with which the pages get what is in one's own vault.

        There is no pass but from here, so whatever is taken out is noted.
        """
        from firstboot.base.audit import note

        found = self._proven(wanted, ("open", "--for", wanted.purpose))
        if wanted.purpose == "export":
            person = str(found["person"])
            note(self.paths, f"{person} {wanted.client}", "people.export", person)
        return {"pass": str(found["pass"])}

    def terms(self, _call: Call, _arguments: Arguments) -> Result:
        """What the owner lets people do."""
        from firstboot.base.settings import require_settings

        return {"delete_account": require_settings(self.paths.settings).pages.delete_account}

    def end(self, _call: Call, wanted: OwnEnd) -> Result:
        """Leave for good: as `mailstead user leave` and then `mailstead user remove`.

        What the second could not destroy, whoever runs the machine does by the same command.
        """
        from firstboot.base.audit import noted
        from firstboot.base.compose import PROJECT
        from firstboot.base.errors import MailsteadError
        from firstboot.base.settings import require_settings
        from firstboot.people.desk import ContainerDesk, PersonError
        from firstboot.people.office import Office
        from firstboot.people.remove import destroy

        person = str(self._proven(wanted, ("prove",))["person"])
        settings = require_settings(self.paths.settings)
        if not settings.pages.delete_account:
            raise PersonError("the owner of this machine does not let people delete their account")
        if wanted.typed.strip().lower() != person:
            raise InvalidError("this is not the address of the account")
        if person == settings.owner:
            raise PersonError(
                "the machine's own mail, such as alarms, comes to you",
                "Whoever runs the machine has to give that to somebody else before.",
            )
        who = f"{person} {wanted.client}"
        Office(self.paths, self.engine, who=who).leave(person)
        desk = ContainerDesk(self.engine, PROJECT)
        try:
            with noted(self.paths, "people.remove", person, who):
                destroy(self.paths, desk, person, desk.ask(("vaults", person))["vaults"])
        except MailsteadError:
            return {"destroyed": False}
        return {"destroyed": True}

    def _proven(self, wanted: OwnArguments, words: Sequence[str]) -> Mapping[str, Any]:
        """What the directory answers, once the password is right; its `person` is whose it is."""
        from firstboot.base.compose import PROJECT
        from firstboot.people.desk import ContainerDesk

        argv = (*words, "--from", wanted.client, "--", wanted.address)
        found = ContainerDesk(self.engine, PROJECT).ask(argv, (wanted.password,))
        if found["verdict"] == "accepted":
            return found
        if found["verdict"] == "rejected":
            raise DeniedError("this is not the password")
        raise BusyError("there were too many wrong passwords, or too much is to be done")

    def verbs(self) -> dict[str, Verb]:
        """By their names."""
        return {
            "own.forward": Verb(OwnForwards, self.forward, open=True),
            "own.open": Verb(OwnVault, self.open, open=True),
            "own.terms": Verb(Arguments, self.terms, open=True),
            "own.end": Verb(OwnEnd, self.end, open=True),
        }
