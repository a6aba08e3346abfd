"""The sections of settings.yaml, each a model: what a value may be, and what is taken without one.

What one value cannot tell alone is checked in `settings.py`, which puts the sections together.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from firstboot.base.backupplaces import repository_problem
from firstboot.base.backuprules import (
    DEFAULT_SCHEDULE,
    age_problem,
    rate_problem,
    schedule_problem,
    target_problem,
)
from firstboot.base.dnsrules import (
    public_address_problem,
    resolver_problem,
    tsig_name_problem,
    tsig_secret_problem,
)
from firstboot.base.limitrules import DEFAULTS, limit_problem
from firstboot.base.passwords import HASH_COMMAND, hash_problem
from firstboot.base.problems import OWN_ERROR, got
from firstboot.base.relayrules import RELAY_PORTS, relay_password_problem, relay_username_problem
from firstboot.base.rules import (
    address_problem,
    authority_problem,
    domain_problem,
    provider_problem,
    quota_problem,
    url_problem,
    variable_problem,
    window_problem,
)
from firstboot.base.sshkeys import LOCAL_NETWORKS, key_problem, network_problem

# The authority that everybody's mail programs trust, and that costs nothing.
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
# Well known, open to all, and each checks DNSSEC: Quad9, Cloudflare, Google.
PUBLIC_RESOLVERS = ("9.9.9.9", "1.1.1.1", "8.8.8.8")
MOST_FORWARDS = 10  # of one person; for more there are mailing lists


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


class Section(BaseModel):
    """Values that never change, under keys that are all known; nothing is converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Domain(Section):
    """A domain that this machine receives mail for."""

    name: DomainName = Field(description="a domain such as example.com")
    catch_all: Address | None = Field(
        None, description="the address that gets what is for addresses that nobody has"
    )


class Person(Section):
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


class Group(Section):
    """An address of several people; `send_as`: whether they may send from it."""

    address: Address = Field(description="an address such as family@example.com")
    members: tuple[Address, ...] = Field(min_length=1, description="a list of addresses")
    send_as: bool = Field(False, description="true or false")


class Network(Section):
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


class Tls(Section):
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


class Updates(Section):
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


class Disk(Section):
    """What protects the state partition."""

    protection: Literal["tpm2", "passphrase", "key-file"] = Field(
        "tpm2", description="'tpm2', 'passphrase' or 'key-file'"
    )


class Administrator(Section):
    """Who may use the machine's menu."""

    password_hash: Annotated[str, _checked(_hash_problem)] | None = Field(
        None, repr=False, description=f"a password hash (make one with: {HASH_COMMAND})"
    )


class Ssh(Section):
    """The machine's menu over SSH."""

    enabled: bool = Field(False, description="true or false")
    keys: tuple[Annotated[str, _checked(key_problem)], ...] = Field(
        (), description="a list of public keys"
    )
    networks: tuple[Annotated[str, _checked(network_problem)], ...] = Field(
        LOCAL_NETWORKS, description="a list of networks that may log in"
    )


class Dns(Section):
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


class Relay(Section):
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


class Limits(Section):
    """To how many recipients people may send, before they are stopped and the owner is told."""

    person_hour: Limit = Field(DEFAULTS["person_hour"], description="a number, or none")
    person_day: Limit = Field(DEFAULTS["person_day"], description="a number, or none")
    machine_hour: Limit = Field(DEFAULTS["machine_hour"], description="a number, or none")
    machine_day: Limit = Field(DEFAULTS["machine_day"], description="a number, or none")


class Checks(Section):
    """What `mailstead check` may do."""

    outside: bool = Field(True, description="true or false")


class Pages(Section):
    """What people may do on the web pages that not every owner wants."""

    delete_account: bool = Field(False, description="true or false")


class BackupTarget(Section):
    """A place for backups; what it takes to get in there is kept apart from the settings."""

    name: Annotated[str, _checked(target_problem)] = Field(description="a short name such as home")
    repository: Annotated[str, _checked(repository_problem)] = Field(
        description="a place such as sftp:user@host:/folder"
    )


class BackupKeep(Section):
    """How many backups of each kind a target keeps; 0 for none."""

    hourly: int = Field(0, ge=0, le=1000, description="a number from 0 to 1000")
    daily: int = Field(7, ge=0, le=1000, description="a number from 0 to 1000")
    weekly: int = Field(5, ge=0, le=1000, description="a number from 0 to 1000")
    monthly: int = Field(12, ge=0, le=1000, description="a number from 0 to 1000")


class Backup(Section):
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
