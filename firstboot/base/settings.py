"""settings.yaml as a whole: seed, templates and containers all go through it.

`parse_settings` is the only way in. Besides what each section says for itself (`sections.py`), it
checks what only the whole can tell (addresses in undeclared domains, gateways outside their
network, …).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from firstboot.base.addressrules import check_groups, check_owner, check_people
from firstboot.base.backuprules import check_backup
from firstboot.base.dnsrules import check_dns
from firstboot.base.errors import SettingsError
from firstboot.base.limitrules import check_limits
from firstboot.base.located import Located, Place, Plain, read_located
from firstboot.base.problems import add_problems
from firstboot.base.relayrules import check_relay
from firstboot.base.rules import check_network, check_tls
from firstboot.base.sections import (
    Administrator,
    Backup,
    Checks,
    Disk,
    Dns,
    Domain,
    DomainName,
    Group,
    Limits,
    Network,
    Pages,
    Person,
    Quota,
    Relay,
    Section,
    Ssh,
    Tls,
    Updates,
)
from firstboot.base.sshkeys import check_ssh

VERSION = 1

_HINT = "Correct these lines. `mailstead settings check FILE` tells whether a file is right."


class Settings(Section):
    """All that an owner decides about a machine."""

    version: Literal[1] = Field(description=f"the version of this format, {VERSION}")
    hostname: DomainName = Field(description="a full host name such as mail.example.com")
    domains: tuple[Domain, ...] = Field(min_length=1, description="a list of mail domains")
    people: tuple[Person, ...] = Field(description="a list of people")
    groups: tuple[Group, ...] = Field((), description="a list of groups")
    quota: Quota = Field("none", description="a size such as 10G, or none")
    network: Network = Field(Network(), description="a mapping with the key method")
    tls: Tls = Field(Tls(), description="a mapping with the key method")
    updates: Updates = Field(Updates(), description="a mapping with keys such as url")
    disk: Disk = Field(Disk(), description="a mapping with the key protection")
    administrator: Administrator = Field(
        Administrator(), description="a mapping with the key password_hash"
    )
    ssh: Ssh = Field(Ssh(), description="a mapping with keys such as enabled")
    dns: Dns = Field(Dns(), description="a mapping with keys such as addresses")
    relay: Relay = Field(Relay(), description="a mapping with keys such as host")
    limits: Limits = Field(Limits(), description="a mapping with keys such as person_hour")
    checks: Checks = Field(Checks(), description="a mapping with the key outside")
    backup: Backup = Field(Backup(), description="a mapping with keys such as targets")
    pages: Pages = Field(Pages(), description="a mapping with the key delete_account")

    @property
    def canary(self) -> str:
        """The address with which the machine checks its own mail round trip."""
        return f"canary@{self.hostname}"

    @property
    def owner(self) -> str:
        """The address that gets what is for the postmaster: the first person's, if there is one.

        Otherwise it is the one that `check_owner` has seen to.
        """
        return self.people[0].address if self.people else f"postmaster@{self.domains[0].name}"


class IncompleteSettingsError(SettingsError):
    """Settings that are right but for keys that are not there; `given` is what they hold."""

    def __init__(self, problems: Sequence[str], hint: str, given: Mapping[str, Plain]) -> None:
        super().__init__(problems, hint)
        self.given = given


def parse_settings(text: str, source: str, *, kept: bool = False) -> Settings:
    """Read settings.yaml.

    `source` is how messages name the file. In settings that a machine has `kept`, keys that this
    version does not know are ignored: the version after it may have brought them. Raises
    SettingsError with every problem found, each as `source:line: key: expected …, got …`; no
    message contains a password hash. It is an IncompleteSettingsError when nothing but required
    keys other than `version` is missing.
    """
    document = read_located(text)
    settings: Settings | None = None
    version = document.value.get("version") if isinstance(document.value, dict) else None
    if type(version) is int and version > VERSION:
        document.add(("version",), f"expected {VERSION}, got {version} (from a newer Mailstead?)")
    elif document.value is not None or not document.problems:
        try:
            settings = _validate(document, ignore_unknown=kept)
        except ValidationError as error:
            add_problems(document, Settings, error)
        check_people(document)
        check_groups(document)
        check_owner(document)
        check_network(document)
        check_ssh(document)
        check_tls(document)
        check_dns(document)
        check_relay(document)
        check_limits(document)
        check_backup(document)
    if settings is None or document.problems:
        problems, hint = document.shown(source), _HINT
        only_missing = all(problem.missing for problem in document.problems)
        if isinstance(document.value, dict) and "version" in document.value and only_missing:
            raise IncompleteSettingsError(problems, hint, document.value)
        raise SettingsError(problems, hint)
    return settings


def _validate(document: Located, *, ignore_unknown: bool) -> Settings:
    while True:
        try:
            return Settings.model_validate(document.value)
        except ValidationError as error:
            found = error.errors(include_url=False)
            unknown = [detail["loc"] for detail in found if detail["type"] == "extra_forbidden"]
            if not unknown or not ignore_unknown:
                raise
            for place in unknown:
                document.value = _without(document.value, place)


def _without(value: Plain, place: Place) -> Plain:
    """The value without the key at a place in it."""
    first, *rest = place
    if isinstance(value, dict):
        return {
            key: _without(inner, tuple(rest)) if key == first else inner
            for key, inner in value.items()
            if rest or key != first
        }
    if isinstance(value, tuple):
        return tuple(
            _without(inner, tuple(rest)) if index == first else inner
            for index, inner in enumerate(value)
        )
    return value


def read_settings(path: Path) -> Settings | None:
    """The settings that a machine was set up with, None before its first setup.

    Raises SettingsError when they cannot be read or are wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            [f"{path}:1: cannot be read: {error}"], "Run this command as root."
        ) from None
    return parse_settings(text, str(path), kept=True)


def require_settings(path: Path) -> Settings:
    """The settings of a machine that has been set up; SettingsError when it has not."""
    settings = read_settings(path)
    if settings is None:
        raise SettingsError(
            ["this machine has not been set up yet"], "Its console says what it is waiting for."
        )
    return settings


def dump_settings(settings: Settings) -> str:
    """The settings as canonical YAML: lower-case names, every default written out."""
    return yaml.safe_dump(
        settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=1000
    )
