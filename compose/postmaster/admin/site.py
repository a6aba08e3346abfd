"""What all pages share, for as long as the service runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from postmaster.admin.directory import PersonDirectory
from postmaster.admin.forms import FormTokens
from postmaster.admin.languages import Catalogue, read_catalogue
from postmaster.admin.machine import Machine
from postmaster.admin.machine_link import MachineLink
from postmaster.admin.sessions import Sessions
from postmaster.export.link import VaultLink

HALFWAY_SECONDS = 5 * 60.0


@dataclass(frozen=True)
class Site:
    """Whom to ask, who is logged in, and every text."""

    machine: Machine
    directory: PersonDirectory
    vaults: VaultLink
    menu: Sequence[tuple[str, str]]  # path, and key of the name
    administrator_menu: Sequence[tuple[str, str]] = ()
    link: MachineLink = field(default_factory=MachineLink)
    sessions: Sessions = field(default_factory=Sessions)
    # Who has shown the password and has a second factor still to show.
    halfway: Sessions = field(default_factory=lambda: Sessions(longest=HALFWAY_SECONDS))
    tokens: FormTokens = field(default_factory=FormTokens)
    catalogue: Catalogue = field(default_factory=read_catalogue)
