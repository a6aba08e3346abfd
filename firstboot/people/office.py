"""Changes to who there is, made in the settings and taken by the services while they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from firstboot.base.audit import noted, whoever
from firstboot.base.change import Edit, alone, change_settings, read_plain
from firstboot.base.compose import PROJECT
from firstboot.base.engine import Engine
from firstboot.base.errors import EngineError
from firstboot.base.livestack import running_settings, write_people
from firstboot.base.passwords import MIN_LENGTH, hash_password
from firstboot.base.paths import Paths
from firstboot.base.services import Stack, read_stack
from firstboot.base.settings import Settings, require_settings
from firstboot.people import register
from firstboot.people.desk import ContainerDesk, PersonError
from firstboot.people.register import Entry

NOW = "It counts from now on."
LATER = "It counts as soon as the services run."
STARTED = "The services for mailboxes are starting: `mailstead status` shows when they are ready."
STOPPED = "Nobody has a mailbox any more, so the services for that have ended."
_MOST_CHARACTERS = 1000  # of a password
# In its container, process 1 reads its configuration again at SIGHUP; what it has begun goes on.
_SIGNER, _READ_AGAIN = "rspamd", ("sh", "-c", "kill -HUP 1")


@dataclass(frozen=True)
class Office:
    """Where that is done. Methods raise SettingsError or PersonError when nothing was changed.

    Those that change something return the sentence that says when it counts. `who` is for the
    audit log.
    """

    paths: Paths
    engine: Engine
    project: str = PROJECT
    who: str = ""

    def people(self) -> tuple[Entry, ...]:
        """Everybody, as the settings have them."""
        return register.entries(read_plain(self.paths.settings))

    def domains(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Every domain, with the addresses and aliases in it."""
        found = read_plain(self.paths.settings)
        return tuple((name, register.addresses_in(found, name)) for name in register.domains(found))

    def add(
        self, address: str, password: str, name: str, aliases: Sequence[str], quota: str | None
    ) -> str:
        """Give somebody a mailbox, with a first password."""
        hashed = first_hash(password)
        return self._change(
            "people.add",
            _words(address, name, aliases, quota),
            register.add_person(address, hashed, name, aliases, quota),
        )

    def change(self, address: str, name: str | None, quota: str | None) -> str:
        """Give somebody another name or quota; None leaves it."""
        what = _words(address, name or "", (), quota)
        return self._change("people.change", what, register.change_person(address, name, quota))

    def forward(self, address: str, to: Sequence[str]) -> str:
        """Send copies of somebody's mail elsewhere, and to none but these; `to` may be empty."""
        what = f"{address} to {', '.join(to) or 'nobody'}"
        return self._change("people.forward", what, register.forward(address, to))

    def leave(self, address: str) -> str:
        """Take somebody out. Mail and keys stay until `mailstead user remove`."""
        return self._change("people.leave", address, register.take_out(address))

    def add_alias(self, alias: str, address: str) -> str:
        """Give somebody a further address."""
        edit = register.add_alias(alias, address)
        return self._change("aliases.add", f"{alias} to {address}", edit)

    def remove_alias(self, alias: str) -> str:
        """Take a further address away."""
        return self._change("aliases.remove", alias, register.remove_alias(alias))

    def add_domain(self, name: str) -> str:
        """Receive mail for a further domain, and sign what is sent from it."""
        return self._change("domains.add", name, register.add_domain(name))

    def remove_domain(self, name: str) -> str:
        """Receive no more mail for a domain. Its DKIM keys stay: they may be in the DNS."""
        return self._change("domains.remove", name, register.remove_domain(name))

    def apply(self) -> str:
        """Let the services take who there is; returns the sentence that says when it counts.

        Nobody's session ends. Services that do not run find it when they start. Those that the
        first person needs are started, and end with the last one.
        """
        paths, stack = self.paths, read_stack(self.paths.services)
        changed = ""
        with alone(paths.people_lock):
            if running_settings(stack, paths.stack) is None:
                return LATER
            settings = require_settings(paths.settings)
            write_people(settings, stack, paths.stack, paths.state, sign=self._sign)
            try:
                # First: who has just gone must not get in, whatever becomes of the rest.
                ContainerDesk(self.engine, self.project).ask(("reread",))
                changed = self._run_needed(stack, settings)
            except EngineError:
                return LATER
        return f"{NOW} {changed}".rstrip()

    def _run_needed(self, stack: Stack, settings: Settings) -> str:
        """Start or end what runs for mailboxes only; what was done, if anything.

        The others stay as they are, since all are rendered at each start of the machine.
        """
        some = {service.name for service in stack.services if service.needed_for}
        wanted = some & {*stack.needed_by(settings).names}
        running = {found.service for found in self.engine.containers(self.project)}
        if wanted == some & running:
            return ""
        self.engine.compose_up(
            self.paths.compose_file, self.project, stack.needed_by(settings).names
        )
        return STARTED if wanted else STOPPED

    def _sign(self) -> None:
        try:
            for container in self.engine.containers(self.project):
                if container.service == _SIGNER and container.status == "running":
                    self.engine.execute(container, _READ_AGAIN)
        except EngineError:
            # It reads what is there when it starts.
            return

    def _change(self, verb: str, what: str, edit: Edit) -> str:
        paths = self.paths
        with noted(paths, verb, what, self.who or whoever()):
            change_settings(paths.settings, edit, lock=paths.settings_lock)
        return self.apply()


def first_hash(password: str) -> str:
    """The hash of a person's first password. Raises PersonError when it is too short or long."""
    if len(password) < MIN_LENGTH:
        raise PersonError(f"a password has at least {MIN_LENGTH} characters")
    if len(password) > _MOST_CHARACTERS or "\n" in password or "\r" in password:
        raise PersonError(f"a password is one line of at most {_MOST_CHARACTERS} characters")
    return hash_password(password)


def _words(address: str, name: str, aliases: Sequence[str], quota: str | None) -> str:
    """What was changed about somebody, for the log."""
    details = [f"name {name}"] if name else []
    details += [f"aliases {', '.join(aliases)}"] if aliases else []
    details += [f"quota {quota}"] if quota else []
    return f"{address} ({'; '.join(details)})" if details else address
