"""Whether a login is right: the one place where passwords are checked, for every service."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from postmaster.addresses import normalise
from postmaster.crypto import UNKNOWN_PERSON_HASH, same_token, verify_password
from postmaster.directory.limits import LoginLimits
from postmaster.directory.people import Directory
from postmaster.logs import event, warn
from postmaster.query import Verdict, VerdictKind

logger = logging.getLogger(__name__)

PARALLEL_HASHES = 2  # each takes the memory that its hash asks for, 64 MiB as a rule
WAITING_HASHES = 32  # more logins than this at once are put off, not queued
MAX_PASSWORD_BYTES = 1024


class Authenticator:
    """Checks name and password against the directory, with limits on failures."""

    def __init__(self, directory: Directory, limits: LoginLimits, canary_password: str) -> None:
        self._directory = directory
        self._limits = limits
        self._canary_password = canary_password
        self._hashing = ThreadPoolExecutor(PARALLEL_HASHES, thread_name_prefix="argon2")
        self._waiting = 0

    async def authenticate(self, login: str, password: str, address: str, service: str) -> Verdict:
        """Judge one login; `address` is the client's IP address, for the limits and the log.

        A person logs in with the main address or an alias. How long it takes does not tell
        whether the person exists.
        """
        name = normalise(login)
        verdict = await self._judge(name, password, address)
        report = event if verdict.kind is VerdictKind.ACCEPTED else warn
        report(logger, f"login-{verdict.kind.value}", service=service, login=name, address=address)
        return verdict

    async def _judge(self, name: str, password: str, address: str) -> Verdict:
        if len(password.encode()) > MAX_PASSWORD_BYTES:
            return Verdict(VerdictKind.REJECTED)
        if name == self._directory.canary:
            # 256 random bits cannot be guessed, so no limit applies; and no attacker can lock
            # the machine out of its own health check.
            right = same_token(self._canary_password, password)
            return Verdict(VerdictKind.ACCEPTED, name) if right else Verdict(VerdictKind.REJECTED)
        if await self._limits.exceeded(name, address):
            return Verdict(VerdictKind.LIMITED)
        if self._waiting >= WAITING_HASHES:
            return Verdict(VerdictKind.TEMPORARY)
        person = self._directory.people.get(self._directory.alias(name) or name)
        phc = person.password_hash if person else UNKNOWN_PERSON_HASH
        right = await self._verify(phc, password)
        if person is None or not right:
            await self._limits.failed(name, address)
            return Verdict(VerdictKind.REJECTED)
        await self._limits.succeeded(name, address)
        return Verdict(VerdictKind.ACCEPTED, person.address)

    async def _verify(self, phc: str, password: str) -> bool:
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._hashing, verify_password, phc, password)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let the worker threads end."""
        self._hashing.shutdown(wait=False, cancel_futures=True)
