"""The `directory` service: its ports and control socket over people, vaults and wraps."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from postmaster import query
from postmaster.crypto import DataKey, PersonId, person_id
from postmaster.crypto.passwords import Argon2Parameters, tune
from postmaster.directory import dovecot_auth, policy, self_service, socketmap
from postmaster.directory.accounts import Accounts
from postmaster.directory.cache import Cache
from postmaster.directory.changes import Changes
from postmaster.directory.control import Control, controlled
from postmaster.directory.database import DirectoryDatabase
from postmaster.directory.keyring import Keyring
from postmaster.directory.limits import RedisLimits
from postmaster.directory.logins import Authenticator
from postmaster.directory.passes import Passes
from postmaster.directory.roster import Roster
from postmaster.directory.second_factors import SecondFactors
from postmaster.directory.sending import SendingCounter
from postmaster.errors import AccountError, StartError, StorageUnavailableError
from postmaster.logs import event, warn
from postmaster.query import Adoption, Pass, RecipientVault, Verdict
from postmaster.secretfiles import read_token
from postmaster.serving import ConnectionLimits, Door, all_listening

logger = logging.getLogger(__name__)

ARGON2 = "argon2"  # the constant under which its parameters stand: memory,passes,lanes


@dataclass(frozen=True)
class DirectoryOptions:
    """Where the service finds its files and listens; ports may be 0 for free ones.

    `argon2`: parameters of new wraps, tuned to the machine once when None.
    """

    settings: Path
    canary_password: Path
    key: Path
    mailstore_token: Path
    admin_token: Path
    database: Path  # folder
    alarms: Path  # folder
    control: Path  # Unix socket
    listen: str
    socketmap_port: int
    auth_port: int
    query_port: int
    policy_port: int
    self_port: int
    redis_host: str
    redis_port: int
    argon2: Argon2Parameters | None = None


@dataclass(frozen=True)
class DirectoryPorts:
    """Where the service listens in fact."""

    socketmap: int
    auth: int
    query: int
    policy: int
    self_service: int


class LocalQueries:
    """`DirectoryAnswers` in this process."""

    def __init__(
        self,
        roster: Roster,
        authenticator: Authenticator,
        accounts: Accounts,
        passes: Passes,
        canary_password: str,
    ) -> None:
        self._roster = roster
        self._authenticator = authenticator
        self._accounts = accounts
        self._passes = passes
        self._canary_password = canary_password

    async def authenticate(
        self, login: str, password: str, address: str, service: str, *, keys: bool = False
    ) -> Verdict:
        """See `DirectoryAnswers.authenticate`."""
        return await self._authenticator.authenticate(login, password, address, service, keys=keys)

    async def resolve(self, address: str) -> str | None:
        """See `DirectoryQueries.resolve`."""
        return self._roster.current.resolve(address)

    async def quota(self, person: str) -> int | None:
        """See `QuotaQueries.quota`."""
        return self._roster.current.quota(person)

    async def recipient(self, person: str) -> RecipientVault:
        """See `KeyQueries.recipient`."""
        if not self._roster.current.has_mailbox(person):
            raise AccountError(f"there is no {person}")
        # Not on the threads of the logins: mail would wait until passwords are derived.
        vault = await asyncio.to_thread(self._accounts.recipient, person, self._token_of(person))
        return RecipientVault(vault.owner.vault, vault.public_key)

    async def adopt(self, person: PersonId, key: DataKey) -> Adoption:
        """See `KeyQueries.adopt`."""
        address = self._address_of(person)
        if address is None:
            return Adoption.UNKNOWN
        try:
            destroy = await self._authenticator.run(
                lambda: self._accounts.adopt(address, key, self._token_of(address))
            )
        except AccountError as error:
            warn(logger, "key-not-adopted", person=address, reason=str(error))
            return Adoption.UNKNOWN
        return Adoption.DESTROY if destroy else Adoption.KEEP

    async def moved(self, person: str, vault: str) -> None:
        """See `KeyQueries.moved`."""
        if await self._authenticator.run(lambda: self._accounts.moved(person, vault)):
            event(logger, "former-vault-emptied", person=person)

    async def redeem(self, text: str) -> Pass | None:
        """See `PassQueries.redeem`."""
        return self._passes.take(text)

    def _address_of(self, person: PersonId) -> str | None:
        now = self._roster.current
        known = (*now.people, now.canary)
        return next((address for address in known if person_id(address) == person), None)

    def _token_of(self, address: str) -> str | None:
        return self._canary_password if address == self._roster.current.canary else None


def open_keyring(options: DirectoryOptions) -> Keyring:
    """Open the database, and tune Argon2id when that was never done. Raises StartError."""
    key = bytes.fromhex(read_token(options.key, "the directory's key"))
    if not options.database.is_dir():
        raise StartError(f"there is no folder {options.database}", "mount the state volume there")
    try:
        database = DirectoryDatabase(options.database, DataKey(key))
        text = database.constant(ARGON2)
        if text is None:
            made = options.argon2 or tune()
            text = f"{made.memory},{made.passes},{made.lanes}"
            database.set_constant(ARGON2, text)
            event(logger, "argon2id-tuned", memory=made.memory, passes=made.passes)
        parameters = Argon2Parameters(*(int(number) for number in text.split(",")))
    except StorageUnavailableError as error:
        raise StartError(str(error), "restore database and key from the same backup") from error
    return Keyring(database, key, parameters)


@asynccontextmanager
async def serving_directory(options: DirectoryOptions) -> AsyncIterator[DirectoryPorts]:
    """Run the service while the context lasts. Raises StartError."""
    secret = bytes.fromhex(read_token(options.key, "the directory's key"))
    rewriting_key = hmac.new(secret, b"sender rewriting", hashlib.sha256).digest()
    roster = Roster.of_settings(options.settings, rewriting_key)
    directory = roster.current
    token = read_token(options.canary_password, "the canary's password")
    mailstore_token = read_token(options.mailstore_token, "the mail store's token")
    admin_token = read_token(options.admin_token, "the token of the web pages")
    keys = open_keyring(options)
    accounts = Accounts(keys)
    event(logger, "directory", people=len(directory.people), domains=len(directory.domains))
    cache = Cache(options.redis_host, options.redis_port)
    authenticator = Authenticator(roster, RedisLimits(cache), token, accounts)
    counter = SendingCounter(cache, options.alarms)
    changes = Changes(keys)
    factors = SecondFactors(keys, changes, lambda: roster.current.hostname)
    passes = Passes()
    queries = LocalQueries(roster, authenticator, accounts, passes, token)
    control = Control(roster, authenticator, keys, changes, factors, passes)
    async with AsyncExitStack() as stack:
        stack.callback(keys.database.close)
        stack.push_async_callback(cache.close)
        stack.push_async_callback(authenticator.close)
        stack.callback(passes.close)
        # These ports are only reachable from the stack's own network: every peer is a service.
        inside = ConnectionLimits(total=1024, per_address=1024)
        doors = (
            Door(
                "socketmap",
                socketmap.socketmap_handler(roster),
                options.socketmap_port,
                inside,
                4096,
            ),
            Door(
                "auth",
                dovecot_auth.dovecot_auth_handler(queries),
                options.auth_port,
                inside,
                dovecot_auth.LINE_LIMIT,
            ),
            Door(
                "query",
                query.query_handler(queries, mailstore_token),
                options.query_port,
                inside,
                query.LINE_LIMIT,
            ),
            Door(
                "policy",
                policy.policy_handler(roster, counter),
                options.policy_port,
                inside,
                policy.LINE_LIMIT,
            ),
            Door(
                "self-service",
                self_service.self_service_handler(control, admin_token),
                options.self_port,
                inside,
                self_service.LINE_LIMIT,
            ),
        )
        ports = await stack.enter_async_context(all_listening(doors, host=options.listen))
        await stack.enter_async_context(controlled(control, options.control))
        yield DirectoryPorts(*ports)
