"""The one table of host packages, why each is needed, and how missing ones are installed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from firstboot.base.errors import CommandError
from firstboot.base.run import run
from firstboot.base.waiting import wait_for
from tools.host.cache import lock
from tools.host.errors import ArchiveError, HostError, PrivilegeError
from tools.host.privilege import run_as_root
from tools.host.report import Say, say
from tools.host.system import Distribution, host_distribution

# Programs of the administrator, which a plain user of Debian has not got on PATH.
_ADMIN_PATHS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_LISTS = Path("/var/lib/apt/lists")
# What apt says when it does not wait for another process. It waits for dpkg's lock (apt_get), and
# not for those of its lists and downloads, which a host that upgrades itself holds for minutes.
_HELD = "Could not get lock"
_HELD_SECONDS, _HELD_PAUSE = 600.0, 5.0
_UNREACHABLE = ("Could not resolve", "Could not connect", "Connection failed", "Unable to fetch")


@dataclass(frozen=True)
class Package:
    """One package of the host.

    `verbs`: the verbs of tools/forge that need it. `proof`: programs on PATH, or absolute paths,
    that show that what it brings is there, whoever installed it. `names`: its name on a
    distribution (`debian`) or on one release of it (`debian/bookworm`) where that differs; "" where
    it has none and another way is taken.
    """

    name: str
    why: str
    verbs: frozenset[str]
    proof: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=dict)

    def name_on(self, host: Distribution) -> str:
        """The package's name on `host`, "" if it has none there."""
        for key in (f"{host.name}/{host.codename}", host.name):
            if key in self.names:
                return self.names[key]
        return self.name

    def is_there(self) -> bool:
        return all(_find(item) for item in self.proof)


def _for(verbs: str) -> frozenset[str]:
    return frozenset(verbs.split())


_MACHINE = _for("boot try restore-drill test")
_BUILD = _for("build publish try restore-drill test")
_CLIENTS = _for("interop test")

# mkosi brings what it needs in its tools tree; to make that tree it needs only what is named here.
HOST_PACKAGES: tuple[Package, ...] = (
    Package("ca-certificates", "trust in archives reached by https", _BUILD, (_CERTIFICATES,)),
    Package("zstd", "compressing images", _BUILD | {"unit"}, ("zstd",)),
    Package("rdiff", "deltas between releases", _for("publish unit test"), ("rdiff",)),
    Package("openssl", "checking signatures in tests", _for("unit test"), ("openssl",)),
    Package("openssh-server", "logging in by SSH in tests", _for("unit test"), ("sshd",)),
    Package("openssh-client", "the same", _for("unit test"), ("ssh", "ssh-keygen")),
    # Its service, if it is started, listens on the loopback only.
    Package("knot", "a name server for tests of DNS", _for("unit test"), ("knotd",)),
    Package("nftables", "checking the firewall's rules", _for("unit test"), ("nft",)),
    Package("iputils-arping", "asking who has an address", _for("unit test"), ("arping",)),
    Package("lego", "a client of certificate authorities", _for("unit test"), ("lego",)),
    Package("restic", "backups in tests", _for("unit test"), ("restic",), {"debian/bookworm": ""}),
    Package("rclone", "servers for the backups of tests", _for("unit test"), ("rclone",)),
    Package("qrencode", "codes to scan, in tests", _for("unit test"), ("qrencode",)),
    Package(
        "poppler-utils",
        "reading and drawing the page of the recovery kit in tests",
        _for("unit test"),
        ("pdftotext", "pdftoppm"),
    ),
    Package("zbar-tools", "scanning the code on it", _for("unit test"), ("zbarimg",)),
    Package(
        "softhsm2",
        "a PKCS #11 token for signing keys, in tests",
        _for("unit test"),
        ("softhsm2-util", "/usr/lib/softhsm/libsofthsm2.so"),
    ),
    Package("pebble", "a certificate authority for tests", _for("unit test"), ("pebble",)),
    Package("qemu-system-x86", "running the image", _MACHINE, ("qemu-system-x86_64",)),
    Package("qemu-utils", "disk overlays over an image", _MACHINE, ("qemu-img",)),
    Package("ovmf", "UEFI firmware for QEMU", _MACHINE, ("/usr/share/OVMF",)),
    Package("swtpm", "a TPM for QEMU", _MACHINE, ("swtpm",)),
    Package("mtools", "putting a seed into a FAT file system", _MACHINE, ("mcopy",)),
    Package(
        "e2fsprogs",
        "a disk with the repository for the drill's machine",
        _for("restore-drill unit test"),
        ("mke2fs",),
    ),
    Package("iproute2", "a network to look at the image from outside", _for("test"), ("ip",)),
    Package(
        "chromium",
        "a browser for the web wizard",
        _for("web test"),
        ("chromium",),
        {"ubuntu": "chromium-browser"},
    ),
    Package(
        "chromium-driver",
        "steering that browser",
        _for("web test"),
        ("chromedriver",),
        {"ubuntu": "chromium-chromedriver"},
    ),
    Package("isync", "a mail client in tests, like the next ones", _CLIENTS, ("mbsync",)),
    Package("offlineimap3", "the same", _CLIENTS, ("offlineimap",)),
    Package("neomutt", "the same", _CLIENTS, ("neomutt",)),
    Package("mpop", "the same", _CLIENTS, ("mpop",)),
    Package("fetchmail", "the same", _CLIENTS, ("fetchmail",)),
    Package("curl", "the same", _CLIENTS, ("curl",)),
    Package("vdirsyncer", "the same, for calendars and contacts", _CLIENTS, ("vdirsyncer",)),
    Package("python3-caldav", "the same", _CLIENTS, ("/usr/lib/python3/dist-packages/caldav",)),
    # Debian's and Ubuntu's: the archive of Python packages has it as source only.
    Package(
        "python3-dkim",
        "verifying signatures of mail in tests",
        _for("test"),
        ("/usr/lib/python3/dist-packages/dkim",),
    ),
    Package(
        "python3-nacl",
        "the same, for Ed25519",
        _for("test"),
        ("/usr/lib/python3/dist-packages/nacl",),
    ),
    Package(
        "python3-authres",
        "the same, for ARC",
        _for("test"),
        ("/usr/lib/python3/dist-packages/authres",),
    ),
    Package("testssl.sh", "looking for weak TLS in tests", _for("test"), ("testssl",)),
    Package("docker.io", "running the containers on the host", _for("stack test"), ("dockerd",)),
    Package(
        "docker-compose-v2",
        "starting the containers together",
        _for("stack test"),
        (),
        {"debian": "docker-compose", "debian/bookworm": ""},
    ),
)


def packages_for(verb: str) -> tuple[Package, ...]:
    """The rows of the table that `verb` needs; raises HostError for a verb that needs none."""
    rows = tuple(package for package in HOST_PACKAGES if verb in package.verbs)
    if not rows:
        raise HostError(f"no host package is listed for the verb {verb!r}")
    return rows


def ensure_for(verb: str, report: Say = say) -> list[str]:
    """Install what `verb` needs and the host lacks; the names of what was installed."""
    host = host_distribution()
    wanted = {
        package.name_on(host): package.why
        for package in packages_for(verb)
        if not (package.proof and package.is_there()) and package.name_on(host)
    }
    return ensure(wanted, f"tools/forge {verb}", report)


def ensure(packages: Mapping[str, str], reason: str, report: Say = say) -> list[str]:
    """Install those of `packages` (name of the package: why it is needed) that are missing.

    `reason` says what needs them. Asks as `run_as_root` does. Returns the names of what was
    installed, sorted. Raises PrivilegeError, ArchiveError, or HostError on a host without apt.
    """
    absent = missing(packages)
    if not absent:
        return []
    if shutil.which("apt-get") is None:
        raise HostError(
            f"{reason} needs {', '.join(absent)}, and this host has no apt to install them with",
            "Install what they are called on this host, so that the programs are on PATH.",
        )
    report(f"{reason} needs packages that this host has not got:")
    for name in absent:
        report(f"  {name}: {packages[name]}")
    with lock("apt", "installing packages", report):
        started = time.monotonic()
        _install(absent, f"{reason} needs {', '.join(absent)}", report)
        report(f"Installed {', '.join(absent)} in {time.monotonic() - started:.0f} s.")
    return absent


def missing(names: Iterable[str]) -> list[str]:
    """Those of `names` that dpkg does not know as installed, sorted."""
    wanted = sorted(names)
    if not wanted:
        return []
    result = run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *wanted],
        check=False,
    )
    # dpkg-query fails when it does not know a name, and still prints the others.
    installed = {
        line.split()[0] for line in result.stdout.splitlines() if line.endswith(" installed")
    }
    return [name for name in wanted if name not in installed]


def offers(name: str) -> bool:
    """Whether the host's own apt sources offer the package `name`, by the lists it has now."""
    output = run(["env", "LC_ALL=C", "apt-cache", "policy", name], check=False).stdout
    return "Candidate:" in output and "Candidate: (none)" not in output


def _install(names: Sequence[str], reason: str, report: Say) -> None:
    install = apt_get("install", *names)
    update = apt_get("update")
    fresh = any(_LISTS.glob("*Packages*"))
    try:
        if not fresh:
            report("Fetching the lists of packages, since there are none yet …")
        _run_apt([install] if fresh else [update, install], reason)
    except PrivilegeError:
        raise
    except CommandError as error:
        if not fresh:
            raise _explained(error) from None
        # A stale list names packages that the archive does not hold any more.
        report("That failed; trying again with fresh lists of packages …")
        try:
            _run_apt([update, install], reason)
        except CommandError as again:
            raise _explained(again) from None


def install_file(deb: Path, reason: str) -> None:
    """Install a package file that was already verified; raises as `ensure` does."""
    try:
        _run_apt([apt_get("install", str(deb.absolute()))], reason)
    except CommandError as error:
        raise _explained(error) from None


def _run_apt(commands: Sequence[Sequence[str]], reason: str) -> None:
    """Run as root, again and again while another process has apt's locks; raises as run_as_root."""
    ends = time.monotonic() + _HELD_SECONDS

    def done() -> bool:
        try:
            run_as_root(commands, reason)
        except CommandError as error:
            if _HELD not in error.message or time.monotonic() >= ends:
                raise
            return False
        return True

    wait_for(done, what="apt's locks", timeout=_HELD_SECONDS, interval=_HELD_PAUSE)


def apt_get(verb: str, *arguments: str) -> list[str]:
    """An apt-get command that never asks. It goes through env(1), since sudo drops ours."""
    return [
        *("env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "apt-get", "--yes", "--quiet"),
        *("-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=false"),
        *((verb, "--no-install-recommends", *arguments) if verb == "install" else (verb,)),
    ]


def _explained(error: CommandError) -> ArchiveError:
    if any(sign in error.message for sign in _UNREACHABLE):
        hint = "The package archive cannot be reached: look at the network, and at apt's sources."
    elif "Unable to locate package" in error.message:
        hint = "The host's apt sources do not offer it: on Ubuntu enable the component `universe`."
    else:
        hint = "Run the same command by hand to see all it says, mend that, and start again."
    return ArchiveError(f"packages could not be installed: {error.message}", hint)


def _find(item: str) -> bool:
    if item.startswith("/"):
        return Path(item).exists()
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_ADMIN_PATHS))
    return shutil.which(item, path=path) is not None
