"""Where an image's packages come from, and whether that can be reached, before a build starts.

No address is written here: it is that of the host's own apt sources where the host runs the same
distribution, else mkosi's default, which mkosi itself is asked for.
"""

from __future__ import annotations

import functools
import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass

from firstboot.base.errors import CommandError
from firstboot.base.run import run
from tools.host.errors import HostError
from tools.host.mkosi import Mkosi
from tools.host.sources import Archive, find_archive, host_sources
from tools.host.system import host_distribution

RELEASES = {"ubuntu": "resolute", "debian": "trixie"}
_DEADLINE = 15.0
_SIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----"
_WEB = ("http://", "https://")
# mkosi has no verb that prints a default mirror, so its installer is asked with the least that it
# looks at. When a later mkosi looks at more, the answer is "not known" and nothing else breaks.
_ASK_MKOSI = """
import json, sys
from types import SimpleNamespace
from mkosi.config import Architecture
from mkosi.distribution import Distribution
config = SimpleNamespace(
    mirror=None, snapshot=None, local_mirror=None, repositories=[], release=sys.argv[2],
    architecture=Architecture.native(),
)
installer = Distribution[sys.argv[1]].installer
found = installer.repositories(SimpleNamespace(config=config))
print(json.dumps([[repository.suite, repository.url] for repository in found]))
"""


@dataclass(frozen=True)
class Mirrors:
    """Addresses that hold `dists/`; None where not known. `security` has the security updates."""

    main: str | None
    security: str | None


def find_mirrors(
    distribution: str, *, mkosi: Mkosi | None = None, mirror: str | None = None
) -> Mirrors:
    """Where packages of `distribution` ("ubuntu" or "debian") come from.

    `mirror` replaces the main archive, which is all that mirrors usually carry. Without `mkosi`
    only the host's own distribution is known.
    """
    release = _release(distribution)
    host = host_distribution()
    if host.name == distribution:
        sources = host_sources()
        main = find_archive(sources, host)
        security = find_archive(sources, host, security=True)
        mirrors = Mirrors(_web_address(main), _web_address(security))
    else:
        mirrors = Mirrors(None, None)
    if mkosi and (mirrors.main is None or mirrors.security is None):
        defaults = _default_mirrors(mkosi, distribution, release)
        mirrors = Mirrors(
            mirrors.main or defaults.get(release),
            mirrors.security or defaults.get(f"{release}-security"),
        )
    return Mirrors(mirror or mirrors.main, mirrors.security)


def archive_reachable(
    distribution: str, *, mkosi: Mkosi | None = None, mirror: str | None = None
) -> bool:
    """Whether the archive of `distribution` answers for the release that images are made of.

    Asked as mkosi will ask: through the proxies that the environment names, and within 15 s. An
    address that is not known, or not http, counts as reachable: then the build will tell.
    """
    address = find_mirrors(distribution, mkosi=mkosi, mirror=mirror).main
    if address is None or not address.startswith(_WEB):
        return True
    return _answers(f"{address.rstrip('/')}/dists/{_release(distribution)}/InRelease")


def image_sources(
    distribution: str,
    components: tuple[str, ...],
    *,
    mkosi: Mkosi | None = None,
    mirror: str | None = None,
) -> str | None:
    """A deb822 file for mkosi's apt: release, updates and security updates, binaries only.

    It leaves out the archives of sources and of debug symbols, which mkosi names by default and
    many mirrors lack. None when no address is known: then mkosi's defaults have to do.
    """
    mirrors = find_mirrors(distribution, mkosi=mkosi, mirror=mirror)
    release = _release(distribution)
    if mirrors.main is None:
        return None
    stanzas = [(mirrors.main, f"{release} {release}-updates")]
    if mirrors.security:
        stanzas.append((mirrors.security, f"{release}-security"))
    return "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: {' '.join(components)}\n"
        f"Signed-By: /usr/share/keyrings/{distribution}-archive-keyring.gpg\n"
        for uri, suites in stanzas
    )


def _web_address(archive: Archive | None) -> str | None:
    """The archive's address if a build in a sandbox can use it, too, which `file:` cannot."""
    return archive.uri if archive and archive.uri.startswith(_WEB) else None


def _release(distribution: str) -> str:
    if distribution not in RELEASES:
        raise HostError(
            f"{distribution!r} is no base for an image", f"Use one of: {', '.join(RELEASES)}."
        )
    return RELEASES[distribution]


def _default_mirrors(mkosi: Mkosi, distribution: str, release: str) -> dict[str, str]:
    """mkosi's default address of each suite; nothing when mkosi cannot be asked."""
    if mkosi.python is None:
        return {}
    try:
        output = run(
            [mkosi.python, "-P", "-c", _ASK_MKOSI, distribution, release],
            env=mkosi.full_environment(),
        ).stdout
    except CommandError:
        return {}
    return {str(suite): str(url) for suite, url in json.loads(output)}


@functools.cache
def _answers(address: str) -> bool:
    # Only http and https come here, see archive_reachable().
    try:
        with urllib.request.urlopen(address, timeout=_DEADLINE) as response:  # noqa: S310
            # A portal that wants a login answers every address, too.
            start: bytes = response.read(len(_SIGNED))
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError):
        return False
    return start == _SIGNED
