"""The command line: one command a service."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click

from postmaster import __version__, logs, ports
from postmaster.errors import PostmasterError
from postmaster.person_cli import CONTROL, person
from postmaster.privacy import keep_memory_private

SECRETS = Path("/run/secrets")
STATE = Path("/var/lib/mailstore")
DIRECTORY = Path("/var/lib/directory")
ALARMS = Path("/var/lib/alarms")
MACHINE = Path("/etc/mailstead/machine.json")

_path = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Mailstead's own mail services."""


cli.add_command(person)


@cli.command()
@click.option(
    "--settings", type=_path, default=SECRETS / "settings/settings.yaml", show_default=True
)
@click.option(
    "--canary-password", type=_path, default=SECRETS / "canary_password", show_default=True
)
@click.option("--key", type=_path, default=SECRETS / "directory_key", show_default=True)
@click.option(
    "--mailstore-token", type=_path, default=SECRETS / "mailstore_token", show_default=True
)
@click.option("--admin-token", type=_path, default=SECRETS / "admin_token", show_default=True)
@click.option("--database", type=_path, default=DIRECTORY, show_default=True, help="Its folder.")
@click.option("--alarms", type=_path, default=ALARMS, show_default=True, help="Their folder.")
@click.option("--control", type=_path, default=CONTROL, show_default=True, help="Unix socket.")
@click.option("--listen", default="", help="Address to listen on.  [default: every address]")
@click.option("--socketmap-port", default=ports.SOCKETMAP, show_default=True)
@click.option("--auth-port", default=ports.AUTH, show_default=True)
@click.option("--query-port", default=ports.QUERY, show_default=True)
@click.option("--policy-port", default=ports.POLICY, show_default=True)
@click.option("--self-port", default=ports.SELF_SERVICE, show_default=True)
@click.option("--redis", default="redis:6379", metavar="HOST:PORT", show_default=True)
def directory(
    *,
    settings: Path,
    canary_password: Path,
    key: Path,
    mailstore_token: Path,
    admin_token: Path,
    database: Path,
    alarms: Path,
    control: Path,
    listen: str,
    socketmap_port: int,
    auth_port: int,
    query_port: int,
    policy_port: int,
    self_port: int,
    redis: str,
) -> None:
    """Answer who is who: lookups and logins for Postfix, logins for the mail store."""
    from postmaster.directory.service import DirectoryOptions, serving_directory  # noqa: PLC0415

    redis_host, redis_port = _host_port(redis)
    options = DirectoryOptions(
        settings=settings,
        canary_password=canary_password,
        key=key,
        mailstore_token=mailstore_token,
        admin_token=admin_token,
        database=database,
        alarms=alarms,
        control=control,
        listen=listen,
        socketmap_port=socketmap_port,
        auth_port=auth_port,
        query_port=query_port,
        policy_port=policy_port,
        self_port=self_port,
        redis_host=redis_host,
        redis_port=redis_port,
    )
    _serve(lambda: _until_stopped(serving_directory(options)))


@cli.command()
@click.option("--vaults", type=_path, default=STATE / "vaults", show_default=True)
@click.option("--keys", type=_path, default=STATE / "keys", show_default=True)
@click.option("--spool", type=_path, default=STATE / "spool", show_default=True)
@click.option("--restored", type=_path, default=STATE / "restored", show_default=True)
@click.option("--token", type=_path, default=SECRETS / "mailstore_token", show_default=True)
@click.option(
    "--certificate",
    type=_path,
    default=SECRETS / "tls/certificate.pem",
    show_default=True,
    help="Key and certificate chain in one file; a new one is taken for new connections.",
)
@click.option("--directory", default="directory:4002", metavar="HOST:PORT", show_default=True)
@click.option("--rspamd", default="rspamd:11334", metavar="HOST:PORT", show_default=True)
@click.option("--learning-token", type=_path, default=SECRETS / "learning_token", show_default=True)
@click.option("--listen", default="", help="Address to listen on.  [default: every address]")
@click.option("--lmtp-port", default=ports.LMTP, show_default=True)
@click.option("--imap-port", default=ports.IMAPS, show_default=True)
@click.option("--pop3-port", default=ports.POP3S, show_default=True)
@click.option("--dav-port", default=ports.DESK, show_default=True)
@click.option("--export-port", default=ports.EXPORT, show_default=True)
@click.option(
    "--message-size-limit", default=50 * 1024 * 1024, show_default=True, help="Bytes of a message."
)
def mailstore(
    *,
    vaults: Path,
    keys: Path,
    spool: Path,
    restored: Path,
    token: Path,
    certificate: Path,
    directory: str,
    rspamd: str,
    learning_token: Path,
    listen: str,
    lmtp_port: int,
    imap_port: int,
    pop3_port: int,
    dav_port: int,
    export_port: int,
    message_size_limit: int,
) -> None:
    """Keep everybody's mail: take it by LMTP, serve it by IMAP and POP3. Keep what `dav` serves."""
    from postmaster.mailstore import MailstoreOptions, serving_mailstore  # noqa: PLC0415

    directory_host, directory_port = _host_port(directory)
    rspamd_host, rspamd_port = _host_port(rspamd)
    options = MailstoreOptions(
        vaults=vaults,
        keys=keys,
        spool=spool,
        restored=restored,
        token=token,
        certificate=certificate,
        directory_host=directory_host,
        directory_port=directory_port,
        rspamd_host=rspamd_host,
        rspamd_port=rspamd_port,
        learning_token=learning_token,
        listen=listen,
        lmtp_port=lmtp_port,
        imap_port=imap_port,
        pop3_port=pop3_port,
        dav_port=dav_port,
        export_port=export_port,
        message_size_limit=message_size_limit,
    )
    _serve(lambda: _until_stopped(serving_mailstore(options)))


@cli.command()
@click.option("--mailstore", default="mailstore:4003", metavar="HOST:PORT", show_default=True)
@click.option("--listen", default="", help="Address to listen on.  [default: every IPv4 address]")
@click.option("--port", default=ports.DAV, show_default=True)
def dav(*, mailstore: str, listen: str, port: int) -> None:
    """Serve calendars and contacts, which the mail store keeps, to the proxy."""
    from postmaster.dav.link import Address  # noqa: PLC0415
    from postmaster.dav.server import DavOptions, keep_quiet, serving_dav  # noqa: PLC0415

    async def serve() -> None:
        from postmaster.serving import until_stopped  # noqa: PLC0415

        keep_quiet()
        with serving_dav(DavOptions(listen, port, Address(*_host_port(mailstore)))):
            await until_stopped()

    _serve(serve)


@cli.command()
@click.option("--directory", default="directory:4005", metavar="HOST:PORT", show_default=True)
@click.option("--mailstore", default="mailstore:4006", metavar="HOST:PORT", show_default=True)
@click.option("--token", type=_path, default=SECRETS / "admin_token", show_default=True)
@click.option("--machine", type=_path, default=MACHINE, show_default=True, help="What is shown.")
@click.option("--listen", default="", help="Address to listen on.  [default: every IPv4 address]")
@click.option("--port", default=ports.ADMIN, show_default=True)
def admin(
    *, directory: str, mailstore: str, token: Path, machine: Path, listen: str, port: int
) -> None:
    """Serve the web pages on which people look after themselves, to the proxy."""
    from postmaster.admin.server import AdminOptions, serving_admin  # noqa: PLC0415

    options = AdminOptions(
        *_host_port(directory), *_host_port(mailstore), token, machine, listen, port
    )
    _serve(lambda: _until_stopped(serving_admin(options)))


def _host_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise click.BadParameter(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


async def _until_stopped(service: Any) -> None:
    from postmaster.serving import until_stopped  # noqa: PLC0415

    async with service:
        await until_stopped()


def _serve(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    logs.start_logging()
    try:
        keep_memory_private()
        asyncio.run(main())
    except PostmasterError as error:
        click.echo(f"ERROR {error}", err=True)
        sys.exit(error.exit_code)
