"""The `mailstore` service: LMTP in, IMAP and POP3 out, and what `dav` keeps, over the vaults."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from postmaster.crypto import FileKeyStore
from postmaster.dav.desk import desk_handler
from postmaster.errors import StartError
from postmaster.export.desk import ExportDesk
from postmaster.export.protocol import QUESTION_BYTES
from postmaster.imap.reader import LINE_LIMIT as IMAP_LINE_LIMIT
from postmaster.imap.server import imap_handler
from postmaster.judging import Judge
from postmaster.learning import Teacher
from postmaster.lmtp import lmtp_handler
from postmaster.pop3.connection import LINE_LIMIT as POP3_LINE_LIMIT
from postmaster.pop3.connection import pop3_handler
from postmaster.query import DirectoryClient
from postmaster.rspamd import Rspamd
from postmaster.secretfiles import read_token
from postmaster.services import Services
from postmaster.serving import ConnectionLimits, Door, all_listening
from postmaster.storage.collection_store import CollectionStore
from postmaster.storage.restoring import Restorer
from postmaster.storage.spool import Spool
from postmaster.storage.vaults import GRACE_SECONDS, VaultStore
from postmaster.tls import server_context
from postmaster.unlocking import HandedOver, KeyedDirectory, KeyFiles, UnlockingDirectory


@dataclass(frozen=True)
class MailstoreOptions:
    """Where the service finds its files and listens; ports may be 0 for free ones."""

    vaults: Path
    keys: Path
    spool: Path
    restored: Path
    token: Path
    certificate: Path  # with its key and chain, one PEM file
    directory_host: str
    directory_port: int
    rspamd_host: str
    rspamd_port: int
    learning_token: Path  # what Rspamd is shown
    listen: str
    lmtp_port: int
    imap_port: int
    pop3_port: int
    dav_port: int
    export_port: int
    message_size_limit: int  # bytes
    grace: float = GRACE_SECONDS  # that a vault stays open after its last use


@dataclass(frozen=True)
class MailstorePorts:
    """Where the service listens in fact."""

    lmtp: int
    imap: int
    pop3: int
    dav: int
    export: int


@asynccontextmanager
async def serving_mailstore(options: MailstoreOptions) -> AsyncIterator[MailstorePorts]:
    """Run the service while the context lasts. Raises StartError."""
    for folder in (options.vaults, options.keys, options.spool, options.restored):
        if not folder.is_dir():
            raise StartError(f"there is no folder {folder}", "mount the state volume there")
    tls = server_context(options.certificate)
    token = read_token(options.token, "the mail store's token")
    client = DirectoryClient(options.directory_host, options.directory_port, token)
    files = FileKeyStore(options.keys)
    key_files = KeyFiles(files, client)
    collections = CollectionStore(options.vaults, quota_of=client.quota)
    store = VaultStore(
        options.vaults,
        Spool(options.spool),
        HandedOver(key_files, client),
        files,
        grace=options.grace,
        quota_of=client.quota,
        collections=collections,
        restorer=Restorer(options.restored),
    )
    directory = UnlockingDirectory(client, key_files, store)
    learning_token = read_token(options.learning_token, "the token for learning")
    rspamd = Rspamd(options.rspamd_host, options.rspamd_port, learning_token)
    teacher = Teacher(store, rspamd)
    services = Services(store, directory, options.message_size_limit, teacher)
    async with AsyncExitStack() as stack:
        stack.callback(client.close)
        stack.push_async_callback(collections.close)
        stack.push_async_callback(store.close)
        stack.push_async_callback(teacher.close)
        await stack.enter_async_context(key_files.watched())
        doors = (
            Door(
                "lmtp",
                lmtp_handler(store, directory, Judge(rspamd), options.message_size_limit),
                options.lmtp_port,
                ConnectionLimits(refusal=b"421 4.7.0 Too many connections\r\n"),
            ),
            Door(
                "imap",
                imap_handler(services),
                options.imap_port,
                ConnectionLimits(refusal=b"* BYE too many connections\r\n"),
                IMAP_LINE_LIMIT,
                tls,
            ),
            Door(
                "pop3",
                pop3_handler(services),
                options.pop3_port,
                ConnectionLimits(refusal=b"-ERR [SYS/TEMP] too many connections\r\n"),
                POP3_LINE_LIMIT,
                tls,
            ),
            Door(
                "dav",
                desk_handler(collections, KeyedDirectory(client, key_files)),
                options.dav_port,
            ),
            Door(
                "export",
                ExportDesk(store, collections, client).handler(),
                options.export_port,
                ConnectionLimits(total=64, per_address=64),
                QUESTION_BYTES,
            ),
        )
        ports = await stack.enter_async_context(all_listening(doors, host=options.listen))
        yield MailstorePorts(*ports)
