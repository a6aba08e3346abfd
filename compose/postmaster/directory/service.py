"""The `directory` service: its three ports over one table of people."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from postmaster import query
from postmaster.directory import dovecot_auth, socketmap
from postmaster.directory.limits import RedisLimits
from postmaster.directory.logins import Authenticator
from postmaster.directory.people import Directory, read_directory
from postmaster.errors import StartError
from postmaster.logs import event
from postmaster.query import Verdict
from postmaster.serving import ConnectionLimits, listening

logger = logging.getLogger(__name__)

MIN_CANARY_PASSWORD = 32  # characters; it is compared, not hashed, so it has to be a random token


@dataclass(frozen=True)
class DirectoryOptions:
    """Where the service finds its files and listens; ports may be 0 for free ones."""

    settings: Path
    canary_password: Path
    listen: str
    socketmap_port: int
    auth_port: int
    query_port: int
    redis_host: str
    redis_port: int


@dataclass(frozen=True)
class DirectoryPorts:
    """Where the service listens in fact."""

    socketmap: int
    auth: int
    query: int


class LocalQueries:
    """`DirectoryQueries` answered in this process."""

    def __init__(self, directory: Directory, authenticator: Authenticator) -> None:
        self._directory = directory
        self._authenticator = authenticator

    async def authenticate(self, login: str, password: str, address: str, service: str) -> Verdict:
        """See `DirectoryQueries.authenticate`."""
        return await self._authenticator.authenticate(login, password, address, service)

    async def resolve(self, address: str) -> str | None:
        """See `DirectoryQueries.resolve`."""
        return self._directory.resolve(address)

    async def quota(self, person: str) -> int | None:
        """See `QuotaQueries.quota`."""
        return self._directory.quota(person)


def read_canary_password(path: Path) -> str:
    """Read the secret token; StartError when it is missing or too short to be one."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"cannot read the canary's password {path}: {error}") from error
    if len(token) < MIN_CANARY_PASSWORD:
        raise StartError(
            f"the canary's password {path} is shorter than {MIN_CANARY_PASSWORD} characters",
            "delete it and start the machine again to make a new one",
        )
    return token


@asynccontextmanager
async def serving_directory(options: DirectoryOptions) -> AsyncIterator[DirectoryPorts]:
    """Run the service while the context lasts. Raises StartError."""
    directory = read_directory(options.settings)
    token = read_canary_password(options.canary_password)
    event(logger, "directory", people=len(directory.people), domains=len(directory.domains))
    limits = RedisLimits(options.redis_host, options.redis_port)
    authenticator = Authenticator(directory, limits, token)
    queries = LocalQueries(directory, authenticator)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(limits.close)
        stack.callback(authenticator.close)
        # These ports are only reachable from the stack's own network: every peer is a service.
        limits_inside = ConnectionLimits(total=1024, per_address=1024)
        handlers = (
            ("socketmap", socketmap.socketmap_handler(directory), options.socketmap_port, 4096),
            (
                "auth",
                dovecot_auth.dovecot_auth_handler(queries),
                options.auth_port,
                dovecot_auth.LINE_LIMIT,
            ),
            ("query", query.query_handler(queries), options.query_port, query.LINE_LIMIT),
        )
        ports = [
            await stack.enter_async_context(
                listening(
                    name,
                    handler,
                    port=port,
                    line_limit=line_limit,
                    limits=limits_inside,
                    host=options.listen,
                )
            )
            for name, handler, port, line_limit in handlers
        ]
        yield DirectoryPorts(*ports)
