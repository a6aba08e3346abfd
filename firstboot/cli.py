"""The command `mailstead`: the only place that prints results and exits.

Commands import what they need when they run: the machine may be slow or emulated, and `--help`
should not wait for Docker's SDK.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from firstboot.base.questions.model import Facts
    from firstboot.console.session import Offers

from firstboot.admin.commands import admin
from firstboot.backup.commands import backup
from firstboot.base.errors import MailsteadError, SettingsError
from firstboot.base.paths import Paths
from firstboot.certificates.commands import cert
from firstboot.checks.commands import check
from firstboot.disk.commands import disk
from firstboot.dns.commands import dns
from firstboot.logs.commands import logs
from firstboot.menu.commands import menu
from firstboot.people.commands import user
from firstboot.power.commands import power
from firstboot.reset.commands import reset
from firstboot.settings.commands import settings
from firstboot.ssh.commands import ssh
from firstboot.update.commands import update
from firstboot.vaults.commands import vault

JOURNAL = "/dev/log"
LOG_HINT = "The log has the details: journalctl --identifier=mailstead"

F = TypeVar("F", bound=Callable[..., Any])


def main() -> NoReturn:
    """Run the command line and exit; an error is a message and a hint, never a traceback."""
    as_json = "--json" in sys.argv[1:]
    try:
        code = mailstead.main(prog_name="mailstead", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("mailstead: stopped", err=True)
        sys.exit(130)
    except MailsteadError as error:
        _report(error, as_json=as_json)
        sys.exit(error.exit_code)
    except Exception as error:
        _report(unexpected(error), as_json=as_json)
        sys.exit(MailsteadError.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


def unexpected(error: Exception) -> MailsteadError:
    """What people see of a defect of ours; its traceback goes to the journal."""
    log = logging.getLogger("mailstead")
    log.propagate = False
    if not log.handlers:
        with contextlib.suppress(OSError):
            handler = logging.handlers.SysLogHandler(JOURNAL)
            handler.ident = "mailstead: "
            log.addHandler(handler)
        log.addHandler(logging.NullHandler())
    log.error("unexpected error", exc_info=error)
    return MailsteadError(f"unexpected {type(error).__name__}: {error}", LOG_HINT)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def mailstead() -> None:
    """A private mail server on a machine of its own.

    To see how it is doing, use `mailstead status`; to find out whether everything works, with a
    real message sent and read, use `mailstead check`. Each command that prints something also
    prints it as JSON with --json.

    The machine itself runs `boot`, `start` and `gate` when it starts; all may be run again at any
    time.

    Exit codes: 0 fine, 1 unexpected error, 2 wrong usage, 3 settings, 4 a program failed,
    5 services, 6 release, 7 Docker, 8 machine, 9 out of time, 10 round trip, 11 a check failed,
    12 an upgrade was refused, 14 no certificate, 15 a vault, 16 the directory, 17 a backup or a
    restore.
    """


def _json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


@mailstead.command()
def boot() -> None:
    """Take the settings and render the stack.

    Runs before Docker starts, and waits for settings as long as there are none.

    The settings come from /state/settings.yaml, or the first time from a seed: the systemd
    credential mailstead.seed, or a file mailstead.yaml on a volume labelled MAILSTEAD or on the
    EFI system partition.
    """
    from firstboot.backup.putting import restore_waiting
    from firstboot.base.settings import Settings, require_settings
    from firstboot.disk.places import Places
    from firstboot.disk.protect import protect, require_possible
    from firstboot.setup.boot import boot as run_boot
    from firstboot.system.console import find_consoles

    paths, places = Paths(), Places()
    console = find_consoles(record=paths.progress)

    def admit(settings: Settings) -> None:
        require_possible(settings.disk.protection, places)

    with _on_console(console.error):
        run_boot(paths, console, admit, lambda: restore_waiting(paths))
        try:
            protect(require_settings(paths.settings).disk.protection, places, console)
        except MailsteadError as error:
            # The disk opens as before, and mail does not wait for it.
            console.error(error)


@mailstead.command()
@_json_option
def firewall(as_json: bool) -> None:
    """Raise the firewall and show what is open.

    `boot` does so, too. Everything that the settings and the services do not ask for is closed;
    before the setup, only its web pages are open. Connections that are open stay.
    """
    from dataclasses import asdict

    from firstboot.setup.firewall import raise_firewall
    from firstboot.system.console import find_consoles

    with _on_console(find_consoles().error):
        openings = raise_firewall(Paths())
    if as_json:
        click.echo(_dump({"ok": True, "open": [asdict(opening) for opening in openings]}))
        return
    for opening in openings:
        click.echo(f"{opening.port:<5}  {' '.join(opening.networks) or 'everywhere'}")


@mailstead.command()
def start() -> None:
    """Run the containers of this version.

    Runs after Docker has started: loads what Docker has not got yet, starts the containers, and
    waits until every declared port answers.
    """
    from firstboot.base.engine import Engine
    from firstboot.setup.start import start as run_start
    from firstboot.system.console import find_consoles

    console = find_consoles(record=Paths().progress)
    with _on_console(console.error):
        run_start(Paths(), console, Engine())


@mailstead.command()
def gate() -> None:
    """Wait until every container is healthy.

    Runs after `start`. Only when both have succeeded does a version that is on trial count as good;
    until then the boot loader goes back to the version before when the machine is started a few
    times.
    """
    from firstboot.base.engine import Engine
    from firstboot.setup.gate import await_healthy
    from firstboot.system.console import find_consoles

    console = find_consoles(record=Paths().progress)
    with _on_console(console.error):
        await_healthy(Paths(), console, Engine())


@mailstead.command("web-setup", hidden=True)
def web_setup() -> None:
    """Serve the questions of setup to a browser until the machine is set up."""
    from firstboot.wizard.web.machine import serve_setup

    serve_setup(Paths(), _facts)


@mailstead.command()
def setup() -> None:
    """Answer the questions of the setup on this terminal.

    The machine's console offers the same. What was answered is kept, so that it can be left and
    continued at any time; nothing is changed before the end. A terminal that cannot show screens
    (TERM=dumb) gets plain prompts.
    """
    from firstboot.wizard.terminal.run import run_wizard

    if Paths().settings.exists():
        raise MailsteadError(
            "this machine is set up already", "Change settings with: mailstead settings set"
        )
    if run_wizard(Paths(), _facts()):
        click.echo("The answers are handed over; the console shows how it goes on.")
    else:
        click.echo("The answers are kept; nothing has been changed.")


@mailstead.command(hidden=True)
def console() -> None:
    """Serve whoever presses a key on the terminal of this process."""
    import os
    from pathlib import Path

    from firstboot.console.session import Session
    from firstboot.system.keyboard import this_terminal
    from firstboot.system.seats import Seat

    device, paths = Path(os.ttyname(0)), Paths()
    Session(this_terminal(), Seat(device), _offers(paths), paths.progress).attend()


def _offers(paths: Paths) -> Offers:
    """What can be done at a console, of several features."""
    from firstboot.base.handover import take_back
    from firstboot.base.run import run
    from firstboot.console.session import Offers
    from firstboot.wizard.web.invitation import ask_for_code, draw_invitation, read_invitation

    def set_up() -> bool:
        from firstboot.wizard.terminal.run import run_wizard

        return run_wizard(paths, _facts())

    def restore() -> bool:
        return run(["mailstead", "backup", "restore"], capture=False, check=False).returncode == 0

    def show_invitation() -> tuple[str, ...]:
        found = read_invitation(paths.invitation)
        return draw_invitation(found) if found else ()

    def show_status() -> tuple[str, ...]:
        from firstboot.base.engine import Engine
        from firstboot.checks.machine import read_machine
        from firstboot.checks.status import read_status
        from firstboot.console.screens import status_lines

        return status_lines(read_status(read_machine(paths, Engine())).as_json())

    def diagnose() -> None:
        run(["mailstead", "check"], capture=False, check=False)

    def show_menu() -> None:
        from firstboot.base.settings import require_settings
        from firstboot.menu.entrance import enter
        from firstboot.menu.menu import run_menu
        from firstboot.system.keyboard import this_terminal

        found = require_settings(paths.settings)
        phc, tries = found.administrator.password_hash, paths.administrator_tries
        if enter(this_terminal(), found.hostname, phc, tries):
            run_menu(found.hostname)

    return Offers(
        is_set_up=paths.settings.exists,
        set_up=set_up,
        take_back=lambda: take_back(paths),
        restore=restore,
        diagnose=diagnose,
        invitation=show_invitation,
        new_code=lambda: ask_for_code(paths.invitation),
        status=show_status,
        menu=show_menu,
    )


def _facts() -> Facts:
    """What the questions of setup depend on, which several features know."""
    from typing import get_args

    from firstboot.base.questions.model import Facts
    from firstboot.base.settings import Disk
    from firstboot.disk.places import Places
    from firstboot.disk.protect import require_possible
    from firstboot.system.networkd import wired_links

    possible = []
    for protection in get_args(Disk.model_fields["protection"].annotation):
        with contextlib.suppress(MailsteadError):
            require_possible(protection, Places())
            possible.append(protection)
    return Facts(protections=tuple(possible), interfaces=wired_links())


@mailstead.command()
@_json_option
def status(as_json: bool) -> None:
    """Show what runs, how full it is, and the backups."""
    from firstboot.backup.automatic import standings
    from firstboot.backup.engine import read_machine as read_backups
    from firstboot.base.engine import Engine
    from firstboot.certificates.machine import read_machine as read_certificates
    from firstboot.certificates.status import read_certificate_status
    from firstboot.checks.machine import read_machine
    from firstboot.checks.status import columns, format_status, read_status
    from firstboot.disk.places import Places
    from firstboot.disk.status import read_protection
    from firstboot.update.machine import read_machine as read_upgrades
    from firstboot.update.status import format_status as format_upgrades
    from firstboot.update.status import read_status as read_upgrade_status

    found = read_status(read_machine(Paths(), Engine()))
    shown, blocks = found.as_json(), [format_status(found)]
    with _as_problem(shown, blocks):
        upgrade = read_upgrade_status(read_upgrades(Paths()))
        shown["upgrade"] = upgrade.as_json()
        blocks.append(format_upgrades(upgrade))
    with _as_problem(shown, blocks):
        certificate = read_certificate_status(read_certificates(Paths(), Engine()))
        shown["certificate"] = certificate.as_json()
        blocks.append(columns(certificate.rows()))
    with _as_problem(shown, blocks):
        protection = read_protection(Places())
        shown["protection"] = protection.as_json()
        blocks.append(columns(protection.rows()))
    with _as_problem(shown, blocks):
        backups = standings(read_backups(Paths()))
        shown["backups"] = [found.as_json() for found in backups]
        rows = [(f"backup: {found.target}", found.sentence()) for found in backups]
        blocks.append(columns(rows or [("backup", "NONE: there is no place for backups yet")]))
    click.echo(_dump(shown) if as_json else "\n\n".join(blocks))


@contextlib.contextmanager
def _as_problem(shown: dict[str, Any], blocks: list[str]) -> Iterator[None]:
    """What of the status cannot be read is a problem like others, and no reason to show nothing."""
    try:
        yield
    except MailsteadError as error:
        shown["problems"] = [*shown["problems"], str(error)]
        blocks.append(f"problem: {error}")


@mailstead.command()
@_json_option
def version(as_json: bool) -> None:
    """Show which build of Mailstead this is."""
    from dataclasses import asdict

    from firstboot.base.release import read_release

    release = read_release(Paths().release)
    if as_json:
        click.echo(_dump(asdict(release)))
        return
    click.echo(f"Mailstead {release.version} ({release.base}, commit {release.commit})")
    click.echo(f"built {release.built}")
    for image in release.images.values():
        click.echo(f"  {image.reference}  {image.manifest}")


for group in (
    admin,
    backup,
    cert,
    check,
    disk,
    dns,
    logs,
    menu,
    power,
    reset,
    settings,
    ssh,
    update,
    user,
    vault,
):
    mailstead.add_command(group)


@contextlib.contextmanager
def _on_console(show: Callable[[MailsteadError], None]) -> Iterator[None]:
    """Put what stops a machine from starting where its owner sees it, too.

    It also stays as the reason of this start's failure, for when another version has come back.
    """
    from firstboot.update.settle import note_failure

    try:
        yield
    except Exception as error:
        known = error if isinstance(error, MailsteadError) else unexpected(error)
        show(known)
        with contextlib.suppress(OSError, MailsteadError):
            note_failure(Paths(), str(known))
        raise SystemExit(known.exit_code) from None


def _report(error: MailsteadError, *, as_json: bool) -> None:
    """On standard error for people; with --json as the one object on standard output."""
    if as_json:
        problem: dict[str, Any] = {"error": error.message, "hint": error.hint}
        if isinstance(error, SettingsError):
            problem["problems"] = list(error.problems)
        click.echo(_dump({"ok": False, **problem}))
        return
    click.echo(f"mailstead: error: {error}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)


def _dump(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
