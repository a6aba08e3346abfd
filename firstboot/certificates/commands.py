"""The commands `mailstead cert …`: what the services show, renewal, a certificate of one's own.

They import what they need when they run, like all commands.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from firstboot.base.errors import CommandError
from firstboot.base.paths import Paths
from firstboot.base.renewal import CertificateError

if TYPE_CHECKING:
    from firstboot.certificates.machine import Machine

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def cert() -> None:
    """See to the TLS certificate.

    Where it comes from is tls.method in the settings: self-signed, an authority (acme), or your
    own. Until there is one of an authority or your own, services show a self-signed one.
    """


def _json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


@cert.command()
@_json_option
def status(as_json: bool) -> None:
    """Show the certificate: for whom, by whom, how long, and what became of renewing it."""
    from firstboot.certificates.status import read_certificate_status

    found = read_certificate_status(_machine())
    if as_json:
        click.echo(_dump(found.as_json()))
        return
    rows = found.rows()
    width = max(len(name) for name, _ in rows)
    click.echo("\n".join(f"{name.ljust(width)}  {value}".rstrip() for name, value in rows))


@cert.command()
@click.option("--force", is_flag=True, help="Also if the certificate is not due yet.")
@_json_option
def renew(*, force: bool, as_json: bool) -> None:
    """Get a new certificate from the authority now, if it is due.

    The machine does so by itself when a third of the life is left, and after failures tries again
    ever more seldom; this does not wait for that, unless the authority itself has asked to wait.
    Nobody who is connected notices.
    """
    from firstboot.certificates.renew import renew as run_renew

    machine = _machine()
    lines: list[str] = []
    with _locked(machine):
        renewed = run_renew(machine, _teller(lines), by_hand=True, force=force)
    if as_json:
        click.echo(_dump({"ok": True, "renewed": renewed, "decision": lines[-1]}))


@cert.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@_json_option
def install(files: tuple[str, ...], as_json: bool) -> None:
    """Use your own certificate: the PEM files of its key and of its chain, in any order.

    A FILE that is - is standard input. The key must not be encrypted. Everything is checked before
    anything is changed: that the key is the certificate's, that it is for the host name, that it
    has not ended, and that the chain is whole.
    """
    from firstboot.base.tls import certificate_facts, write_installed
    from firstboot.certificates.machine import put_to_use
    from firstboot.certificates.own import read_own
    from firstboot.certificates.renew import show

    machine = _machine()
    if machine.settings.tls.method != "own":
        raise CertificateError(
            f"tls.method is {machine.settings.tls.method}, so that it would not be used",
            "First: mailstead settings set tls.method own",
        )
    found = read_own([_read(name) for name in files], machine.settings.hostname, machine.now())
    with _locked(machine):
        write_installed(machine.installed, found)
        put_to_use(machine)
    facts = certificate_facts(found.certificate)
    alone = found.certificate.count(b"BEGIN CERTIFICATE") == 1 and facts.issuer != "itself"
    if as_json:
        shown = {"ok": True, "names": list(facts.names), "ends": facts.ends.isoformat()}
        click.echo(_dump({**shown, "sha256": facts.fingerprint, "chain_is_alone": alone}))
        return
    click.echo(f"installed: {', '.join(facts.names)}, until {show(facts.ends)}")
    if alone:
        click.echo(
            "There is no certificate of the authority above it. If mail programs do not trust it, "
            "install it again together with the authority's chain."
        )


@cert.command()
@_json_option
def automatic(as_json: bool) -> None:
    """Renew if it is time, and warn the owner if it does not work.

    Run by a timer. Says in one line what it decides; that a renewal fails is no error here, since
    it is tried again.
    """
    from firstboot.certificates.renew import installed_facts
    from firstboot.certificates.renew import renew as run_renew
    from firstboot.certificates.warn import warn
    from firstboot.system.console import find_consoles

    machine = _machine()
    lines: list[str] = []
    renewed = False
    with _locked(machine):
        _show_what_counts(machine)
        before = installed_facts(machine) if machine.settings.tls.method == "acme" else None
        try:
            if machine.settings.tls.method == "acme":
                renewed = run_renew(machine, _teller(lines))
        except (CertificateError, CommandError) as error:
            _teller(lines)(f"no certificate now: {error} {error.hint}".strip())
    console = find_consoles()
    if renewed and before is None:
        console.say(f"certificate for {machine.settings.hostname}")
    warn(machine, console)
    if as_json:
        decision = lines[-1] if lines else "nothing to renew"
        click.echo(_dump({"ok": True, "renewed": renewed, "decision": decision}))


def _show_what_counts(machine: Machine) -> None:
    """After a change of tls.method the services show another certificate."""
    from firstboot.base.tls import certificate_facts
    from firstboot.certificates.machine import put_to_use

    try:
        shown = certificate_facts(machine.paths.certificate.read_bytes()).fingerprint
    except (OSError, ValueError):
        shown = ""
    if shown != machine.shown().fingerprint:
        put_to_use(machine)


def _machine() -> Machine:
    from firstboot.base.engine import Engine
    from firstboot.certificates.machine import read_machine

    return read_machine(Paths(), Engine())


def _locked(machine: Machine) -> Any:
    from firstboot.system.maintenance import maintenance

    return maintenance(machine.paths.certificate_lock, "a renewal", CertificateError)


def _teller(lines: list[str]) -> Callable[[str], None]:
    """Progress goes to standard error, and is kept."""

    def tell(line: str) -> None:
        lines.append(line)
        click.echo(line, err=True)

    return tell


def _read(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise CertificateError(f"{name} cannot be read: {error.strerror}") from None


def _dump(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
