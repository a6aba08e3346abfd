"""Packages from a newer suite of the host's own archive, without touching the host's apt.

apt gets a state and a cache of its own, one source (the host's archive, the newer suite), and
verifies as always. How to reach the archive (proxy, certificates, credentials) stays as the host
has it. What was unpacked stays in the project's cache and is used again without a network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.errors import CommandError
from firstboot.base.run import run
from tools.host.cache import cache_folder, filling, lock, mark_used, prune, remove, require_space
from tools.host.errors import ArchiveError
from tools.host.report import Say, say
from tools.host.sources import Archive, find_archive, host_sources
from tools.host.system import Distribution, host_distribution

_KEPT_BYTES = 300 << 20
_NEEDED_BYTES = 400 << 20
_APT_CONF = """\
Dir::Etc::sourcelist "{root}/only.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{root}/state";
Dir::State::status "{root}/state/status";
Dir::Cache "{root}/cache";
Dir::Log "{root}/log";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
APT::Update::Error-Mode "any";
// The user _apt cannot enter a cache that is private to root.
APT::Sandbox::User "root";
// What the host wants done after an update concerns the host's lists, not these.
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


@dataclass(frozen=True)
class Fetched:
    """A package that was verified and unpacked: `deb` the file, `tree` its contents."""

    name: str
    version: str
    deb: Path
    tree: Path


def obtain_package(
    name: str,
    *,
    minimum: str,
    suites: Sequence[str],
    mirror: str | None = None,
    report: Say = say,
) -> Fetched:
    """Package `name`, at least of version `minimum`, from the cache or else from the archive.

    `suites` are tried in order. `mirror` replaces the URI of the host's archive; it is what holds
    `dists/`. Raises ArchiveError when no suite can be reached, is trusted, or has the package.
    """
    folder = cache_folder("host-packages", name)
    with lock(f"package-{name}", f"fetching {name}", report):
        found = newest_cached(name, minimum)
        if found is None:
            _fetch_first(name, minimum, suites, mirror, report)
            found = newest_cached(name, minimum)
        if found is None:
            raise ArchiveError(f"the package {name} vanished from the cache {folder}")
        entry = found.deb.parent
        mark_used(entry)
        prune(folder, keep=[entry], maximum_bytes=_KEPT_BYTES)
    return found


def newest_cached(name: str, minimum: str) -> Fetched | None:
    """The newest version of `name` in the cache that is at least `minimum`, None if there is none.

    An entry is `host-packages/<name>/<version>/` with the package file and `tree/`.
    """
    newest: Fetched | None = None
    for entry in cache_folder("host-packages", name).iterdir():
        deb = next(entry.glob("*.deb"), None)
        if deb is None or not (entry / "tree").is_dir():
            continue
        version = run(["dpkg-deb", "--field", deb, "Version"]).stdout.strip()
        if is_at_least(version, newest.version if newest else minimum):
            newest = Fetched(name, version, deb, entry / "tree")
    return newest


def is_at_least(version: str, minimum: str) -> bool:
    """Whether Debian `version` is `minimum` or newer, as dpkg orders versions."""
    result = run(["dpkg", "--compare-versions", version, "ge", minimum], check=False)
    return result.returncode == 0


def distribution_archive(mirror: str | None = None) -> tuple[Archive, Distribution]:
    """The archive of this host's distribution, from its own sources or at `mirror`.

    Raises ArchiveError on a host that is neither Debian nor Ubuntu, or names no archive.
    """
    host = host_distribution()
    if not host.has_apt:
        raise ArchiveError(
            f"{host.pretty} is neither Debian nor Ubuntu, so newer packages cannot be fetched",
            "Install mkosi 26 or newer yourself; tools/forge uses it when it is on PATH.",
        )
    archive = find_archive(host_sources(), host)
    keyring = Path(f"/usr/share/keyrings/{host.name}-archive-keyring.gpg")
    signed_by = archive.signed_by if archive else None
    if signed_by is None and keyring.exists():
        signed_by = str(keyring)
    if mirror is None and archive is None:
        raise ArchiveError(
            f"the apt sources of this host name no archive of {host.pretty}",
            "Add it to /etc/apt/sources.list.d, or name one with --mirror.",
        )
    uri = mirror or (archive.uri if archive else "")
    return Archive(uri, signed_by), host


def _fetch_first(
    name: str, minimum: str, suites: Sequence[str], mirror: str | None, report: Say
) -> None:
    archive, host = distribution_archive(mirror)
    components = "main universe" if host.name == "ubuntu" else "main"
    require_space(cache_folder(), _NEEDED_BYTES, f"fetching {name}")
    failures = []
    for suite in suites:
        report(f"Fetching {name} (at least {minimum}) from {host.name} {suite} …")
        try:
            with _private_apt(name, source_stanza(archive, suite, components)) as conf:
                _fetch(name, minimum, suite, conf)
        except ArchiveError as error:
            failures.append(error)
        else:
            return
    # All reasons, since the first suite may be missing where the second is out of reach.
    reasons = "\n".join(dict.fromkeys(error.message for error in failures))
    raise ArchiveError(f"{name} could not be fetched:\n{reasons}", failures[-1].hint)


@contextmanager
def _private_apt(name: str, source: str) -> Iterator[Path]:
    """An apt configuration with one source, for `name`; the value is its file for `apt-get -c`.

    It is thrown away afterwards; what an interrupted run left of it, before.
    """
    root = cache_folder("apt") / name
    remove(root)
    try:
        for folder in ("state/lists/partial", "cache/archives/partial", "log"):
            (root / folder).mkdir(parents=True)
        (root / "state/status").touch()
        (root / "only.sources").write_text(source, encoding="utf-8")
        conf = root / "apt.conf"
        conf.write_text(_APT_CONF.format(root=root), encoding="utf-8")
        yield conf
    finally:
        remove(root)


def source_stanza(archive: Archive, suite: str, components: str) -> str:
    """A deb822 stanza, see sources.list(5), that fetches nothing but the list of packages."""
    stanza = (
        f"Types: deb\nURIs: {archive.uri}\nSuites: {suite}\n"
        f"Components: {components}\nTargets: Packages\n"
    )
    return stanza + (f"Signed-By: {archive.signed_by}\n" if archive.signed_by else "")


def _fetch(name: str, minimum: str, suite: str, conf: Path) -> None:
    _apt(["apt-get", "update"], conf, suite)
    shown = _apt(["apt-cache", "show", "--no-all-versions", name], conf, suite, check=False)
    version = next(
        (line.split()[1] for line in shown.splitlines() if line.startswith("Version: ")), None
    )
    if version is None:
        raise ArchiveError(f"{suite} has no package {name}")
    if not is_at_least(version, minimum):
        raise ArchiveError(f"{suite} has {name} {version}, and {minimum} or newer is needed")
    # A colon would end the path in PYTHONPATH; apt writes an epoch's colon in the same way.
    target = cache_folder("host-packages", name) / version.replace(":", "%3a")
    with filling(target) as folder:
        _apt(["apt-get", "download", f"{name}={version}"], conf, suite, cwd=folder)
        deb = next(folder.glob("*.deb"))
        run(["dpkg-deb", "--extract", deb, folder / "tree"])


def _apt(
    command: Sequence[str], conf: Path, suite: str, *, cwd: Path | None = None, check: bool = True
) -> str:
    program, *arguments = command
    argv = ["env", "LC_ALL=C", program, "-c", str(conf), "--quiet", *arguments]
    try:
        return run(argv, cwd=cwd, check=check).stdout
    except CommandError as error:
        raise _explained(error, suite) from None


def _explained(error: CommandError, suite: str) -> ArchiveError:
    text = error.message
    if "NO_PUBKEY" in text or "not signed" in text or "GPG error" in text or "Sqv" in text:
        return ArchiveError(
            f"the archive's signature on {suite} is not trusted by this host: {text}",
            "Upgrade the package that holds the archive's keys (debian-archive-keyring, "
            "ubuntu-keyring) and start again.",
        )
    if "is expired" in text or "not valid yet" in text:
        return ArchiveError(
            f"the archive's {suite} is too old, or the clock of this host is wrong: {text}",
            "Set the clock, or name a mirror that is kept up to date with --mirror.",
        )
    if "does not have a Release file" in text or "404" in text:
        return ArchiveError(
            f"the archive does not carry the suite {suite}: {text}",
            "Name a complete mirror with --mirror.",
        )
    return ArchiveError(
        f"the archive cannot be reached for {suite}: {text}",
        "Look at the network and at apt's sources and proxy, or name a mirror with --mirror.",
    )
