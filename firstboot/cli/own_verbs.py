"""The verbs by which people change what is theirs in the settings, by the web pages.

Nobody has to be signed in at the machine for these: each asks for the person's own password, which
the directory checks, with the limits of a login. So whoever breaks into the container `admin` can
change nothing for somebody whose password he does not have.
"""

# ruff: noqa: PLC0415 - verbs import what they need when they run, as commands do

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from firstboot.administration.protocol import (
    Arguments,
    BusyError,
    Call,
    DeniedError,
    Result,
    Verb,
)
from firstboot.base.engine import Engine
from firstboot.base.paths import Paths


class OwnForwards(Arguments):
    """As of `mailstead user forward`; `from` is the browser's address, as the proxy sees it."""

    address: str = Field(max_length=254)
    password: str = Field(max_length=1024, repr=False)
    forward_to: list[str] = Field(max_length=100)
    client: str = Field(alias="from", max_length=64)


@dataclass(frozen=True)
class Own:
    """The verbs."""

    paths: Paths
    engine: Engine

    def forward(self, _call: Call, wanted: OwnForwards) -> Result:
        """Send copies of one's own mail elsewhere, or no more."""
        from firstboot.people.office import Office

        person = self._proven(wanted.address, wanted.password, wanted.client)
        office = Office(self.paths, self.engine, who=f"{person} {wanted.client}")
        return {"when": office.forward(person, wanted.forward_to)}

    def _proven(self, login: str, password: str, client: str) -> str:
        """The main address of whom a login and a password belong to."""
        from firstboot.base.compose import PROJECT
        from firstboot.people.desk import ContainerDesk

        words = ("prove", "--from", client, "--", login)
        found = ContainerDesk(self.engine, PROJECT).ask(words, (password,))
        if found["verdict"] == "accepted":
            return str(found["person"])
        if found["verdict"] == "rejected":
            raise DeniedError("this is not the password")
        raise BusyError("there were too many wrong passwords, or too much is to be done")

    def verbs(self) -> dict[str, Verb]:
        """By their names."""
        return {"own.forward": Verb(OwnForwards, self.forward, open=True)}
