"""Whether a login is right: the one place where passwords are checked, for every service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from postmaster.addresses import normalise
from postmaster.crypto import same_token
from postmaster.crypto.wraps import Scope
from postmaster.directory.accounts import Accounts, Opened
from postmaster.directory.first_logins import FirstLogins
from postmaster.directory.limits import LoginLimits
from postmaster.directory.people import Person
from postmaster.directory.roster import Roster
from postmaster.errors import SecretRefusedError, StorageUnavailableError
from postmaster.logs import event, warn
from postmaster.query import Unlock, Verdict, VerdictKind

logger = logging.getLogger(__name__)
T = TypeVar("T")

PARALLEL_HASHES = 2  # each takes the memory that its wrap asks for, 64 MiB as a rule
WAITING_HASHES = 128  # an office that comes back at once; more are put off, not queued
MAX_PASSWORD_BYTES = 1024

# What a login at a service is for; anything else needs the person's own password.
SCOPES: Mapping[str, Scope] = {
    "imap": Scope.MAIL,
    "pop3": Scope.MAIL,
    "smtp": Scope.SEND,
    "dav": Scope.DAV,
    "own": Scope.MAIL,
}
# What opens the vault for the web pages: by the person's own password and by no app password, also
# where there is a second factor, which the pages have asked for.
OWN = "own"


class Authenticator:
    """Checks name and password against the directory, with limits on failures."""

    def __init__(
        self, roster: Roster, limits: LoginLimits, canary_password: str, accounts: Accounts
    ) -> None:
        self._roster = roster
        self._limits = limits
        self._canary_password = canary_password
        self._accounts = accounts
        self._hashing = ThreadPoolExecutor(PARALLEL_HASHES, thread_name_prefix="argon2")
        self._waiting = 0
        self._first_logins = FirstLogins(accounts, self._run)

    async def authenticate(
        self, login: str, password: str, address: str, service: str, *, keys: bool = False
    ) -> Verdict:
        """Judge one login; `address` is the client's IP address, for the limits and the log.

        A person logs in with the main address or an alias. How long it takes does not tell
        whether the person exists. `keys`: whether who asks may have what the login opens.
        """
        name = normalise(login)
        verdict = Verdict(VerdictKind.REJECTED)
        if len(password.encode()) <= MAX_PASSWORD_BYTES:
            verdict = await self._judge(name, password, address, service, keys=keys)
        report = event if verdict.kind is VerdictKind.ACCEPTED else warn
        report(logger, f"login-{verdict.kind.value}", service=service, login=name, address=address)
        return verdict

    async def _judge(
        self, name: str, password: str, address: str, service: str, *, keys: bool
    ) -> Verdict:
        scope = SCOPES.get(service, Scope.ALL)
        now = self._roster.current
        if name == now.canary:
            return await self._judge_canary(password, scope, keys=keys)
        if await self._limits.exceeded(name, address):
            return Verdict(VerdictKind.LIMITED)
        if self._waiting >= WAITING_HASHES:
            return Verdict(VerdictKind.TEMPORARY)
        person = now.people.get(now.alias(name) or name)
        try:
            opened = await self.run(
                lambda: self._accounts.log_in(
                    person, password, scope, keys=keys, own=service == OWN
                )
            )
        except StorageUnavailableError as error:
            return _unavailable(error)
        if person is None or opened is None:
            await self._limits.failed(name, address)
            return Verdict(VerdictKind.REJECTED)
        if not opened.second_factor:
            await self._limits.succeeded(name, address)
        if opened.first:
            self._first_logins.note(person.address, password)
        return _accepted(person.address, opened, keys=keys)

    async def _judge_canary(self, password: str, scope: Scope, *, keys: bool) -> Verdict:
        # 256 random bits cannot be guessed, so no limit applies; and no attacker can lock the
        # machine out of its own health check.
        if not same_token(self._canary_password, password):
            return Verdict(VerdictKind.REJECTED)
        canary = self._roster.current.canary
        if scope is not Scope.MAIL or not keys:
            return Verdict(VerdictKind.ACCEPTED, canary)
        try:
            opened = await self.run(lambda: self._accounts.log_in_machine(canary, password))
        except StorageUnavailableError as error:
            return _unavailable(error)
        return _accepted(canary, opened, keys=keys)

    async def proven(
        self, login: str, address: str, work: Callable[[], Awaitable[T]], *, short: bool = False
    ) -> T | VerdictKind:
        """Do what needs a secret of a person's, with the limits of a login for those that fail.

        `work` raises SecretRefusedError for those. Returns REJECTED then, LIMITED when it is too
        early to try, and TEMPORARY when others are waiting already.

        A `short` secret can be guessed where nobody counts. So it has counters of its own, which
        a right password leaves as they are, and while nothing is counted it is not tried.
        """
        name = normalise(login)
        if short:
            if not await self._limits.counting():
                return VerdictKind.TEMPORARY
            done = await self.proven(f"second factor of {name}", address, work)
            if not isinstance(done, VerdictKind):
                await self._limits.succeeded(name, address)
            return done
        if await self._limits.exceeded(name, address):
            return VerdictKind.LIMITED
        if self._waiting >= WAITING_HASHES:
            return VerdictKind.TEMPORARY
        try:
            done = await work()
        except SecretRefusedError:
            await self._limits.failed(name, address)
            warn(logger, "secret-rejected", login=name, address=address)
            return VerdictKind.REJECTED
        await self._limits.succeeded(name, address)
        return done

    def person(self, address: str) -> Person | None:
        """Return the person with this main address or alias."""
        name, now = normalise(address), self._roster.current
        return now.people.get(now.alias(name) or name)

    async def run(self, work: Callable[[], T]) -> T:
        """Run what blocks, such as Argon2id, on a thread for that."""
        self._waiting += 1
        self._first_logins.set_busy(busy=True)
        try:
            return await self._run(work)
        finally:
            self._waiting -= 1
            self._first_logins.set_busy(busy=self._waiting > 0)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._hashing, work)

    async def close(self) -> None:
        """Let the worker threads end, after what they are doing and what first logins left."""
        await self._first_logins.finish()
        self._hashing.shutdown(wait=True, cancel_futures=True)


def _accepted(person: str, opened: Opened, *, keys: bool) -> Verdict:
    if not keys or opened.key is None:
        return Verdict(VerdictKind.ACCEPTED, person)
    return Verdict(
        VerdictKind.ACCEPTED, person, Unlock(opened.vault, opened.key, tuple(opened.former))
    )


def _unavailable(error: StorageUnavailableError) -> Verdict:
    warn(logger, "directory-database", reason=str(error))
    return Verdict(VerdictKind.TEMPORARY)
