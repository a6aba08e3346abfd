"""What of the settings services take while they run: people, domains, groups, quota, limits.

It lies in directories that are mounted, not in files, so that a new file is seen at once; `Roster`
in postmaster's directory and Rspamd are told to read it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from firstboot.base.compose import Mount
from firstboot.base.dkim import SELECTORS, ensure_keys, signing_key
from firstboot.base.errors import StackError
from firstboot.base.rendering import Rendering
from firstboot.base.sections import Backup, Dns, Limits, Pages, Relay, Tls
from firstboot.base.services import DKIM_SECRET, SETTINGS_SECRET, Service, Stack
from firstboot.base.settings import Settings, dump_settings, read_settings

# Below the mounts of the secrets called settings and dkim.
SETTINGS_FILE = "settings.yaml"
SIGNED_DOMAINS = "domains.conf"
# With what stands in their place where only the rest counts.
_LIVE: Mapping[str, Any] = {
    "people": (),
    "domains": (),
    "groups": (),
    "quota": "none",
    "limits": Limits(),
}


def running_settings(stack: Stack, config: Path) -> Settings | None:
    """The settings that a rendered stack has, as far as services see them; None before that."""
    for service in stack.services:
        if SETTINGS_SECRET in service.secrets:
            folder = Rendering(config, config, config).secret_directory(service, SETTINGS_SECRET)
            return read_settings(folder / SETTINGS_FILE)
    return None


def write_people(
    settings: Settings, stack: Stack, config: Path, state: Path, *, sign: Callable[[], None]
) -> None:
    """Give what it takes while it runs to a stack that is rendered, also while it runs.

    Everything else of the settings stays as it was rendered: it counts from the next start on.
    `sign` is called when the domains are others than before, once their keys are in place: whoever
    signs has to read those anew. Raises StackError when nothing is rendered, or for a key that
    cannot be read.
    """
    before = running_settings(stack, config)
    if before is None:
        raise StackError("the services have not been started yet", "Run first: mailstead boot")
    live = {key: getattr(settings, key) for key in _LIVE}
    rendering = Rendering(config, config, state)
    # Keys first: whoever may send in the name of a domain is to be signed for. And what is cut off
    # before the settings are in place is done again by the next change.
    if {one.name for one in before.domains} != {one.name for one in settings.domains}:
        put_dkim_keys(rendering, settings, stack)
        sign()
    put_settings(rendering, before.model_copy(update=live), stack)


def put_dkim_keys(rendering: Rendering, settings: Settings, stack: Stack) -> None:
    """DOMAIN/SELECTOR.key for each service that signs mail."""
    signers = [service for service in stack.services if DKIM_SECRET in service.secrets]
    if not signers:
        return
    domains = tuple(domain.name for domain in settings.domains)
    kept = rendering.state / "dkim"
    for key in ensure_keys(kept, domains):
        for service in signers:
            folder = rendering.secret_directory(service, DKIM_SECRET) / key.domain
            private = signing_key(kept, key)
            rendering.put(folder / f"{key.selector}.key", private, user=service.user)
    for service in signers:
        file = rendering.secret_directory(service, DKIM_SECRET) / SIGNED_DOMAINS
        rendering.put(file, _signed_domains(domains), user=service.user)


def _signed_domains(domains: tuple[str, ...]) -> bytes:
    """Which keys sign for which domain, as Rspamd includes it: lines of UCL, which takes JSON."""
    lines = []
    for domain in domains:
        keys = [
            {"selector": name, "path": f"/run/secrets/{DKIM_SECRET}/{domain}/{name}.key"}
            for name in SELECTORS.values()
        ]
        lines.append(f"{json.dumps(domain)}: {json.dumps({'selectors': keys})};\n")
    return "".join(lines).encode("ascii")


def put_settings(rendering: Rendering, settings: Settings, stack: Stack) -> None:
    """For each service that wants them, what it may see of the settings."""
    for service in stack.services:
        if SETTINGS_SECRET in service.secrets:
            file = rendering.secret_directory(service, SETTINGS_SECRET) / SETTINGS_FILE
            rendering.put(file, dump_settings(_shown(settings)).encode(), user=service.user)


def fixed_settings(
    rendering: Rendering, settings: Settings, service: Service
) -> Iterator[tuple[Mount, bytes]]:
    """What of the settings makes a new container of a service that sees them.

    What a service takes while it runs does not.
    """
    if SETTINGS_SECRET in service.secrets:
        fixed = dump_settings(_shown(settings).model_copy(update=dict(_LIVE))).encode()
        source = rendering.secret_directory(service, SETTINGS_SECRET)
        yield Mount(source, f"/run/secrets/{SETTINGS_SECRET}", read_only=True), fixed


def _shown(settings: Settings) -> Settings:
    """The settings that services see."""
    # Whoever could change the DNS of a domain could have its certificates: no service needs that.
    # The login at a smart host goes to the one that uses it.
    hidden = {
        "tls": Tls(method=settings.tls.method),
        "dns": Dns(),
        "relay": Relay(),
        "backup": Backup(),
        # The machine answers that.
        "pages": Pages(),
    }
    return settings.model_copy(update=hidden)
