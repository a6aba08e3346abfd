"""Every command by its name, imported only when it is wanted.

A command comes up in a third of the time that all of them would take, and a machine that is slow
runs a dozen of them when it starts.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

from collections.abc import Callable

import click

Loader = Callable[[], click.Command]

LOADERS: dict[str, Loader] = {}


class LazyGroup(click.Group):
    """A group whose commands are in LOADERS."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *LOADERS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in LOADERS:
            return LOADERS[cmd_name]()
        return super().get_command(ctx, cmd_name)


def _named(load: Loader) -> Loader:
    """Note a loader under the name of the command that it loads."""
    LOADERS[load.__name__.removeprefix("_").replace("_", "-")] = load
    return load


@_named
def _boot() -> click.Command:
    from firstboot.cli.starting import boot

    return boot


@_named
def _firewall() -> click.Command:
    from firstboot.cli.starting import firewall

    return firewall


@_named
def _start() -> click.Command:
    from firstboot.cli.starting import start

    return start


@_named
def _gate() -> click.Command:
    from firstboot.cli.starting import gate

    return gate


@_named
def _web_setup() -> click.Command:
    from firstboot.cli.starting import web_setup

    return web_setup


@_named
def _setup() -> click.Command:
    from firstboot.cli.seat import setup

    return setup


@_named
def _console() -> click.Command:
    from firstboot.cli.seat import console

    return console


@_named
def _status() -> click.Command:
    from firstboot.cli.showing import status

    return status


@_named
def _version() -> click.Command:
    from firstboot.cli.showing import version

    return version


@_named
def _admin() -> click.Command:
    from firstboot.admin.commands import admin

    return admin


@_named
def _alarms() -> click.Command:
    from firstboot.alarms.commands import alarms

    return alarms


@_named
def _token() -> click.Command:
    from firstboot.administration.commands import token

    return token


@_named
def _administration() -> click.Command:
    from firstboot.cli.serving import administration

    return administration


@_named
def _alias() -> click.Command:
    from firstboot.people.changing import alias

    return alias


@_named
def _audit() -> click.Command:
    from firstboot.cli.showing import audit

    return audit


@_named
def _backup() -> click.Command:
    from firstboot.backup.commands import backup

    return backup


@_named
def _cert() -> click.Command:
    from firstboot.certificates.commands import cert

    return cert


@_named
def _check() -> click.Command:
    from firstboot.checks.commands import check

    return check


@_named
def _disk() -> click.Command:
    from firstboot.disk.commands import disk

    return disk


@_named
def _dns() -> click.Command:
    from firstboot.dns.commands import dns

    return dns


@_named
def _domain() -> click.Command:
    from firstboot.people.changing import domain

    return domain


@_named
def _log() -> click.Command:
    from firstboot.queue.log_commands import log

    return log


@_named
def _logs() -> click.Command:
    from firstboot.logs.commands import logs

    return logs


@_named
def _menu() -> click.Command:
    from firstboot.menu.commands import menu

    return menu


@_named
def _power() -> click.Command:
    from firstboot.power.commands import power

    return power


@_named
def _queue() -> click.Command:
    from firstboot.queue.commands import queue

    return queue


@_named
def _reset() -> click.Command:
    from firstboot.reset.commands import reset

    return reset


@_named
def _settings() -> click.Command:
    from firstboot.settings.commands import settings

    return settings


@_named
def _ssh() -> click.Command:
    from firstboot.ssh.commands import ssh

    return ssh


@_named
def _update() -> click.Command:
    from firstboot.update.commands import update

    return update


@_named
def _user() -> click.Command:
    from firstboot.people.commands import user

    return user


@_named
def _vault() -> click.Command:
    from firstboot.vaults.commands import vault

    return vault
