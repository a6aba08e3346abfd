"""sshd(8): who may log in, and the key by which this machine is known.

What never changes is in the image, /usr/lib/mailstead/sshd_config. This renders the rest:
authorized_keys, without which mailstead-ssh.service does not start, and the networks.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.files import make_directory, write_atomic
from firstboot.base.paths import Paths
from firstboot.base.run import run
from firstboot.base.sections import Ssh

UNIT = "mailstead-ssh.service"
USER = "root"
MENU = "/usr/bin/mailstead menu"
KEYS = "authorized_keys"
ALLOWED = "allowed.conf"
HOST_KEY = "host_ed25519"


@dataclass(frozen=True)
class Identity:
    """A public key and its fingerprint, as ssh shows it at the first login."""

    public_key: str
    fingerprint: str


def apply_ssh(settings: Ssh, paths: Paths) -> None:
    """Render what the server reads, or take it away while SSH is off; starts nothing.

    Makes the host key when SSH is switched on for the first time.
    """
    if not settings.enabled:
        # In this order: without keys it does not start.
        (paths.ssh / KEYS).unlink(missing_ok=True)
        (paths.ssh / ALLOWED).unlink(missing_ok=True)
        return
    make_directory(paths.ssh, mode=0o700)
    _make_host_key(paths)
    write_atomic(paths.ssh / ALLOWED, render_allowed(settings), mode=0o600)
    write_atomic(paths.ssh / KEYS, render_keys(settings), mode=0o600)


def render_keys(settings: Ssh) -> str:
    """authorized_keys (sshd(8)): each key gets the menu, a terminal, and nothing else."""
    return "".join(f'restrict,pty,command="{MENU}" {key}\n' for key in settings.keys)


def render_allowed(settings: Ssh) -> str:
    """AllowUsers of sshd_config(5): from these networks only, also where no firewall says so."""
    return "AllowUsers " + " ".join(f"{USER}@{network}" for network in settings.networks) + "\n"


def ssh_is_on(paths: Paths) -> bool:
    """Whether the settings have switched it on."""
    return (paths.ssh / KEYS).is_file()


def restart_ssh() -> None:
    """Let the server take what was rendered; without keys it only stops."""
    run(["systemctl", "restart", UNIT], timeout=120)


def is_running() -> bool:
    """Whether the server runs."""
    return run(["systemctl", "is-active", "--quiet", UNIT], check=False).returncode == 0


def read_identity(paths: Paths) -> Identity | None:
    """By what this machine is known; None before SSH was on for the first time."""
    public = paths.ssh_host_keys / f"{HOST_KEY}.pub"
    try:
        key = public.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    return Identity(key, fingerprint(key))


def fingerprint(public_key: str) -> str:
    """`SHA256:…` of a public key."""
    listed = run(["ssh-keygen", "-l", "-f", "-"], stdin=public_key + "\n", timeout=60)
    return listed.stdout.split()[1]


def _make_host_key(paths: Paths) -> None:
    """Make the key if there is none: in memory, then on the state, its private half last."""
    key = paths.ssh_host_keys / HOST_KEY
    if key.exists():
        return
    with tempfile.TemporaryDirectory(dir=paths.ssh) as made:
        new = Path(made, HOST_KEY)
        kind = ("-t", "ed25519", "-N", "", "-C", "mailstead")
        run(["ssh-keygen", "-q", *kind, "-f", new], timeout=120)
        make_directory(paths.ssh_host_keys, mode=0o700)
        write_atomic(key.with_suffix(".pub"), new.with_suffix(".pub").read_bytes())
        write_atomic(key, new.read_bytes(), mode=0o600)
