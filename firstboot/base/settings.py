"""The one model of settings.yaml: seed, templates and containers all go through it.

`parse_settings` is the only way in. Besides what each field says for itself, it checks what only
the whole can tell (addresses in undeclared domains, gateways outside their network, …).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from firstboot.base.addressrules import check_groups, check_people
from firstboot.base.backupplaces import repository_problem
from firstboot.base.backuprules import (
    DEFAULT_SCHEDULE,
    age_problem,
    check_backup,
    rate_problem,
    schedule_problem,
    target_problem,
)
from firstboot.base.dnsrules import (
    check_dns,
    public_address_problem,
    resolver_problem,
    tsig_name_problem,
    tsig_secret_problem,
)
from firstboot.base.errors import SettingsError
from firstboot.base.limitrules import DEFAULTS, check_limits, limit_problem
from firstboot.base.located import Located, Place, Plain, read_located
from firstboot.base.passwords import HASH_COMMAND, hash_problem
from firstboot.base.problems import OWN_ERROR, add_problems, got
from firstboot.base.relayrules import (
    RELAY_PORTS,
    check_relay,
    relay_password_problem,
    relay_username_problem,
)
from firstboot.base.rules import (
    address_problem,
    authority_problem,
    check_network,
    check_tls,
    domain_problem,
    provider_problem,
    quota_problem,
    url_problem,
    variable_problem,
    window_problem,
)
from firstboot.base.sshkeys import LOCAL_NETWORKS, check_ssh, key_problem, network_problem

VERSION = 1
# The authority that everybody's mail programs trust, and that costs nothing.
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
# Well known, open to all, and each checks DNSSEC: Quad9, Cloudflare, Google.
PUBLIC_RESOLVERS = ("9.9.9.9", "1.1.1.1", "8.8.8.8")

_HINT = "Correct these lines. `mailstead settings check FILE` tells whether a file is right."


def _checked(problem: Callable[[str], str | None], *, lower: bool = False) -> AfterValidator:
    """A validator from a function that returns what is wrong (`expected …`) or None."""

    def validate(text: str) -> str:
        text = text.lower() if lower else text
        if wrong := problem(text):
            sentence = wrong if ", got " in wrong else f"{wrong}, got {got(text)}"
            raise PydanticCustomError(OWN_ERROR, "{text}", {"text": sentence})
        return text

    return AfterValidator(validate)


def _name_problem(text: str) -> str | None:
    if text.isprintable() and len(text) <= 200:
        return None
    return "expected at most 200 printable characters"


def _hash_problem(text: str) -> str | None:
    wrong = hash_problem(text)
    return f"{wrong}; make one with: {HASH_COMMAND}" if wrong else None


def _interface_problem(text: str) -> str | None:
    # systemd.network(5), Name=: names and shell globs, without its "!" for "all but".
    if re.fullmatch(r"[A-Za-z0-9._:*?\[\]-]{1,32}", text, re.ASCII):
        return None
    return "expected the name of a network interface such as enp1s0, or a pattern such as en*"


def _secret_text(value: Any) -> Any:
    # Before pydantic's own check, whose message would show the value.
    if isinstance(value, str) and value.isprintable() and len(value) <= 10_000:
        return value
    sentence = "expected one line of text (in quotes, if a number)"
    raise PydanticCustomError(OWN_ERROR, "{text}", {"text": sentence})


def _limit(value: Any) -> Any:
    if wrong := limit_problem(value):
        raise PydanticCustomError(OWN_ERROR, "{text}", {"text": f"{wrong}, got {got(value)}"})
    return value


Limit = Annotated[int | Literal["none"], BeforeValidator(_limit)]
DomainName = Annotated[str, _checked(domain_problem, lower=True)]
Address = Annotated[str, _checked(address_problem, lower=True)]
Quota = Annotated[str, _checked(quota_problem)]


MOST_FORWARDS = 10  # of one person; for more there are mailing lists


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Domain(_Model):
    """A domain that this machine receives mail for."""

    name: DomainName = Field(description="a domain such as example.com")
    catch_all: Address | None = Field(
        None, description="the address that gets what is for addresses that nobody has"
    )


class Person(_Model):
    """Somebody with a mailbox."""

    address: Address = Field(description="an address such as ada@example.com")
    name: Annotated[str, _checked(_name_problem)] = Field("", description="a person's name")
    password_hash: Annotated[str, _checked(_hash_problem)] = Field(
        repr=False, description=f"a password hash (make one with: {HASH_COMMAND})"
    )
    aliases: tuple[Address, ...] = Field((), description="a list of further addresses")
    forward_to: tuple[Address, ...] = Field(
        (),
        max_length=MOST_FORWARDS,
        description=f"a list of at most {MOST_FORWARDS} addresses elsewhere",
    )
    quota: Quota | None = Field(None, description="a size such as 10G, or none")


class Group(_Model):
    """An address of several people; `send_as`: whether they may send from it."""

    address: Address = Field(description="an address such as family@example.com")
    members: tuple[Address, ...] = Field(min_length=1, description="a list of addresses")
    send_as: bool = Field(False, description="true or false")


class Network(_Model):
    """How the machine gets its addresses."""

    method: Literal["dhcp", "static"] = Field("dhcp", description="'dhcp' or 'static'")
    interface: Annotated[str, _checked(_interface_problem)] | None = Field(
        None, description="the name of a network interface, or a pattern"
    )
    addresses: tuple[str, ...] = Field((), description="a list of addresses with prefix length")
    gateways: tuple[str, ...] = Field((), description="a list of gateways")
    dns: tuple[str, ...] = Field((), description="a list of DNS servers")
    detect_duplicates: bool = Field(
        True, description="true or false: whether the link is asked before an address is used"
    )


class Tls(_Model):
    """Where the certificate comes from; what follows `method` counts with 'acme' only."""

    method: Literal["self-signed", "acme", "own"] = Field(
        "self-signed", description="'self-signed', 'acme' or 'own'"
    )
    directory: Annotated[str, _checked(authority_problem)] = Field(
        LETS_ENCRYPT, description="the address of an authority's ACME directory"
    )
    email: Address | None = Field(None, description="an address that the authority may write to")
    challenge: Literal["http-01", "tls-alpn-01", "dns-01"] = Field(
        "http-01", description="'http-01', 'tls-alpn-01' or 'dns-01'"
    )
    dns_provider: Annotated[str, _checked(provider_problem)] | None = Field(
        None, description="the code of a DNS provider such as rfc2136"
    )
    dns_environment: dict[
        Annotated[str, _checked(variable_problem)],
        Annotated[str, BeforeValidator(_secret_text)],
    ] = Field({}, repr=False, description="a mapping of variables of the DNS provider")


class Updates(_Model):
    """Where upgrades come from, and when the machine installs them by itself."""

    automatic: bool = Field(True, description="true or false")
    url: Annotated[str, _checked(url_problem)] | None = Field(
        None, description="the address of a published directory"
    )
    channel: Literal["stable", "candidate"] = Field("stable", description="'stable' or 'candidate'")
    window: Annotated[str, _checked(window_problem)] = Field(
        "02:00-05:00", description="two times of day in UTC such as 02:00-05:00"
    )
    metered: bool = Field(False, description="true or false")


class Disk(_Model):
    """What protects the state partition."""

    protection: Literal["tpm2", "passphrase", "key-file"] = Field(
        "tpm2", description="'tpm2', 'passphrase' or 'key-file'"
    )


class Administrator(_Model):
    """Who may use the machine's menu."""

    password_hash: Annotated[str, _checked(_hash_problem)] | None = Field(
        None, repr=False, description=f"a password hash (make one with: {HASH_COMMAND})"
    )


class Ssh(_Model):
    """The machine's menu over SSH."""

    enabled: bool = Field(False, description="true or false")
    keys: tuple[Annotated[str, _checked(key_problem)], ...] = Field(
        (), description="a list of public keys"
    )
    networks: tuple[Annotated[str, _checked(network_problem)], ...] = Field(
        LOCAL_NETWORKS, description="a list of networks that may log in"
    )


class Dns(_Model):
    """What the DNS records of the domains say, who is asked for them, who takes them."""

    addresses: tuple[Annotated[str, _checked(public_address_problem)], ...] = Field(
        (), description="a list of public IP addresses"
    )
    resolvers: tuple[Annotated[str, _checked(resolver_problem)], ...] = Field(
        PUBLIC_RESOLVERS, description="a list of IP addresses of resolvers"
    )
    publish_server: Annotated[str, _checked(resolver_problem)] | None = Field(
        None, description="the IP address of a name server that takes updates"
    )
    publish_key: Annotated[str, _checked(tsig_name_problem, lower=True)] | None = Field(
        None, description="the name of a TSIG key"
    )
    publish_algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512"] = Field(
        "hmac-sha256", description="'hmac-sha256', 'hmac-sha384' or 'hmac-sha512'"
    )
    publish_secret: (
        Annotated[str, BeforeValidator(_secret_text), _checked(tsig_secret_problem)] | None
    ) = Field(None, repr=False, description="the TSIG key in base64")


class Relay(_Model):
    """Another mail server that takes all mail to others (a smart host), if there is a `host`."""

    host: DomainName | None = Field(None, description="a host name such as smtp.example.net")
    port: int | None = Field(None, ge=1, le=65535, description="a port number from 1 to 65535")
    tls: Literal["starttls", "implicit"] = Field("starttls", description="'starttls' or 'implicit'")
    username: Annotated[str, _checked(relay_username_problem)] | None = Field(
        None, description="a user name at the smart host"
    )
    password: (
        Annotated[str, BeforeValidator(_secret_text), _checked(relay_password_problem)] | None
    ) = Field(None, repr=False, description="the password of this user name")
    spf: DomainName | None = Field(
        None, description="a domain such as spf.example.net, whose SPF record the smart host has"
    )

    @property
    def number(self) -> int:
        """The port that counts."""
        return self.port or RELAY_PORTS[self.tls]


class Limits(_Model):
    """To how many recipients people may send, before they are stopped and the owner is told."""

    person_hour: Limit = Field(DEFAULTS["person_hour"], description="a number, or none")
    person_day: Limit = Field(DEFAULTS["person_day"], description="a number, or none")
    machine_hour: Limit = Field(DEFAULTS["machine_hour"], description="a number, or none")
    machine_day: Limit = Field(DEFAULTS["machine_day"], description="a number, or none")


class Checks(_Model):
    """What `mailstead check` may do."""

    outside: bool = Field(True, description="true or false")


class BackupTarget(_Model):
    """A place for backups; what it takes to get in there is kept apart from the settings."""

    name: Annotated[str, _checked(target_problem)] = Field(description="a short name such as home")
    repository: Annotated[str, _checked(repository_problem)] = Field(
        description="a place such as sftp:user@host:/folder"
    )


class BackupKeep(_Model):
    """How many backups of each kind a target keeps; 0 for none."""

    hourly: int = Field(0, ge=0, le=1000, description="a number from 0 to 1000")
    daily: int = Field(7, ge=0, le=1000, description="a number from 0 to 1000")
    weekly: int = Field(5, ge=0, le=1000, description="a number from 0 to 1000")
    monthly: int = Field(12, ge=0, le=1000, description="a number from 0 to 1000")


class Backup(_Model):
    """Where backups go, when, and how long they are kept."""

    targets: tuple[BackupTarget, ...] = Field((), description="a list of places for backups")
    schedule: Annotated[str, _checked(schedule_problem)] = Field(
        DEFAULT_SCHEDULE, description="a daily time in UTC such as 00:00-02:00, hourly, or off"
    )
    keep: BackupKeep = Field(BackupKeep(), description="a mapping with keys such as daily")
    upload_limit: Annotated[str, _checked(rate_problem)] = Field(
        "none", description="a rate such as 500K or 5M (bytes a second), or none"
    )
    warn_after: Annotated[str, _checked(age_problem)] = Field(
        "3d", description="an age such as 36h or 3d"
    )


class Settings(_Model):
    """All that an owner decides about a machine."""

    version: Literal[1] = Field(description=f"the version of this format, {VERSION}")
    hostname: DomainName = Field(description="a full host name such as mail.example.com")
    domains: tuple[Domain, ...] = Field(min_length=1, description="a list of mail domains")
    people: tuple[Person, ...] = Field(min_length=1, description="a list of people")
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

    @property
    def canary(self) -> str:
        """The address with which the machine checks its own mail round trip."""
        return f"canary@{self.hostname}"


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
