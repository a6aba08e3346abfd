"""SSH: what is rendered, by the real ssh-keygen, read by the real sshd, over a real socket."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firstboot.base.files import write_atomic
from firstboot.base.paths import Paths
from firstboot.base.run import run
from firstboot.base.sections import Ssh
from firstboot.base.settings import parse_settings
from firstboot.settings import commands as settings_commands
from firstboot.ssh import commands
from firstboot.system import openssh
from firstboot.system.openssh import apply_ssh, read_identity
from tests.unit.firstboot.conftest import Command, FakePrograms
from tests.unit.firstboot.samples import SETTINGS

CONFIG = Path(__file__).parents[3] / "images/appliance/mkosi.extra/usr/lib/mailstead/sshd_config"
SSHD = "/usr/sbin/sshd"
SECONDS = 60.0


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A person's key: the private one, with the public one beside it."""
    path = tmp_path / "id_ed25519"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada@laptop", "-f", path])
    return path


def public(key: Path) -> str:
    return Path(f"{key}.pub").read_text().strip()


def on(key: Path, *networks: str) -> Ssh:
    return Ssh(enabled=True, keys=(public(key),), networks=networks or ("127.0.0.0/8",))


def test_nothing_is_there_while_ssh_is_off(paths: Paths) -> None:
    apply_ssh(Ssh(), paths)
    assert not paths.ssh.exists()
    assert not paths.ssh_host_keys.exists()


def test_keys_lead_to_the_menu_and_nowhere_else(paths: Paths, key: Path) -> None:
    apply_ssh(on(key, "192.0.2.0/24", "2001:db8::/64"), paths)
    line = (paths.ssh / "authorized_keys").read_text()
    assert line == f'restrict,pty,command="/usr/bin/mailstead menu" {public(key)}\n'
    allowed = (paths.ssh / "allowed.conf").read_text()
    assert allowed == "AllowUsers root@192.0.2.0/24 root@2001:db8::/64\n"
    assert stat.S_IMODE(paths.ssh.stat().st_mode) == 0o700
    apply_ssh(Ssh(), paths)
    assert list(paths.ssh.iterdir()) == []


def test_the_machine_keeps_its_key(paths: Paths, key: Path) -> None:
    apply_ssh(on(key), paths)
    first = read_identity(paths)
    assert first is not None
    assert first.fingerprint.startswith("SHA256:")
    private = paths.ssh_host_keys / "host_ed25519"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    apply_ssh(Ssh(), paths)
    apply_ssh(on(key), paths)
    assert read_identity(paths) == first


@pytest.mark.parametrize("lasts", range(3))
def test_a_power_cut_while_the_key_is_made(
    paths: Paths, key: Path, monkeypatch: pytest.MonkeyPatch, lasts: int
) -> None:
    """At the next start there is one key, and it fits its public half."""
    real, steps = write_atomic, iter(range(100))

    def cut(*arguments: Any, **options: Any) -> None:
        if next(steps) >= lasts:
            raise KeyboardInterrupt
        real(*arguments, **options)

    monkeypatch.setattr(openssh, "write_atomic", cut)
    with pytest.raises(KeyboardInterrupt):
        apply_ssh(on(key), paths)
    monkeypatch.setattr(openssh, "write_atomic", real)
    apply_ssh(on(key), paths)
    private = paths.ssh_host_keys / "host_ed25519"
    derived = run(["ssh-keygen", "-y", "-f", private]).stdout.split()[:2]
    found = read_identity(paths)
    assert found is not None
    assert found.public_key.split()[:2] == derived
    assert sorted(path.name for path in paths.ssh_host_keys.iterdir()) == [
        "host_ed25519",
        "host_ed25519.pub",
    ]


def moved_config(paths: Paths, *changes: str) -> str:
    """The image's configuration, which reads what lies below the test's folder."""
    text = CONFIG.read_text()
    text = text.replace("/run/mailstead/ssh", str(paths.ssh))
    text = text.replace("/state/ssh", str(paths.ssh_host_keys))
    return "\n".join([*changes, text])


def test_sshd_takes_the_configuration_and_it_is_strict(paths: Paths, key: Path) -> None:
    apply_ssh(on(key, "192.0.2.0/24"), paths)
    config = paths.ssh / "config"
    config.write_text(moved_config(paths))
    Path("/run/sshd").mkdir(exist_ok=True)
    shown = run([SSHD, "-T", "-f", config]).stdout
    found: dict[str, list[str]] = {}
    for line in shown.splitlines():
        name, _, value = line.partition(" ")
        found.setdefault(name, []).append(value)
    wanted = {
        "permitrootlogin": "forced-commands-only",
        "forcecommand": "/usr/bin/mailstead menu",
        "authenticationmethods": "publickey",
        "passwordauthentication": "no",
        "kbdinteractiveauthentication": "no",
        "usepam": "no",
        "disableforwarding": "yes",
        "permituserrc": "no",
        "permituserenvironment": "no",
        "allowusers": "root@192.0.2.0/24",
        "hostkeyalgorithms": "ssh-ed25519",
        "requiredrsasize": "3072",
    }
    assert {name: found[name][0] for name in wanted} == wanted
    assert "subsystem" not in found
    offered = " ".join(found[name][0] for name in ("kexalgorithms", "ciphers", "macs"))
    assert "curve25519-sha256" in offered
    for weak in ("sha1", "cbc", "diffie-hellman-group", "nistp", "umac-64"):
        assert weak not in offered
    assert all("-etm@" in mac for mac in found["macs"][0].split(","))


class Server:
    """The real sshd behind a port of the loopback address, started for each connection."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.log = ""
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection:
                    argv = [SSHD, "-i", "-e", "-f", str(self.config)]
                    done = subprocess.run(
                        argv,
                        stdin=connection.fileno(),
                        stdout=connection.fileno(),
                        stderr=subprocess.PIPE,
                        check=False,
                    )
                self.log += done.stderr.decode(errors="replace")

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(SECONDS)


@pytest.mark.skipif(os.geteuid() != 0, reason="logs in as root, like the appliance's owner")
class TestLogin:
    @pytest.fixture
    def server(self, paths: Paths, key: Path) -> Iterator[Server]:
        """As on the appliance, but for the menu: what would run says what it was asked for.

        Nor does a login end because the host is slow.
        """
        apply_ssh(on(key), paths)
        menu = """ForceCommand echo "menu<$SSH_ORIGINAL_COMMAND>\""""
        changes = (menu, "StrictModes no", "LoginGraceTime 600")
        (paths.ssh / "config").write_text(moved_config(paths, *changes))
        Path("/run/sshd").mkdir(exist_ok=True)
        server = Server(paths.ssh / "config")
        yield server
        server.close()

    def login(self, server: Server, key: Path, *words: str, user: str = "root") -> tuple[int, str]:
        options = ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=no"]
        options += ["UserKnownHostsFile=/dev/null", "ConnectTimeout=100"]
        ssh = ["ssh", "-F", "/dev/null", "-i", str(key), "-p", str(server.port)]
        ssh += [word for option in options for word in ("-o", option)]
        done = run([*ssh, *words[:-1], f"{user}@127.0.0.1", *words[-1:]], check=False, timeout=300)
        return done.returncode, done.stdout + done.stderr

    def test_a_key_gets_the_menu_whatever_it_asks_for(self, server: Server, key: Path) -> None:
        code, out = self.login(server, key, "cat /etc/shadow")
        assert code == 0
        assert "menu<cat /etc/shadow>" in out
        assert "root:" not in out

    def test_nobody_else_gets_in(self, server: Server, key: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other])
        assert "Permission denied (publickey)" in self.login(server, other, "true")[1]
        assert "Permission denied" in self.login(server, key, "true", user="nobody")[1]

    def test_a_key_without_its_command_is_refused(
        self, server: Server, key: Path, paths: Paths
    ) -> None:
        (paths.ssh / "authorized_keys").write_text(public(key) + "\n")
        code, out = self.login(server, key, "true")
        assert code != 0
        assert "menu<" not in out

    def test_other_networks_do_not_get_in(self, server: Server, key: Path, paths: Paths) -> None:
        apply_ssh(on(key, "192.0.2.0/24"), paths)
        assert "Permission denied" in self.login(server, key, "true")[1]

    def test_nothing_is_forwarded(self, server: Server, key: Path) -> None:
        code, out = self.login(server, key, "-W", "127.0.0.1:25", "true")
        assert code != 0
        assert "administratively prohibited" in out


@pytest.fixture
def call(
    paths: Paths,
    programs: FakePrograms,
    monkeypatch: pytest.MonkeyPatch,
    mailstead: Command,
) -> Command:
    """Run `mailstead …` on a machine that is set up: exit code and output."""
    programs.add("systemctl")
    programs.add("nft", "cat")
    for module in (commands, settings_commands):
        monkeypatch.setattr(module, "Paths", lambda: paths)
    paths.settings.write_text(SETTINGS)
    return mailstead


def test_switched_on_with_a_key_and_off_again(
    call: Command, key: Path, paths: Paths, programs: FakePrograms
) -> None:
    assert call("ssh", "status")[1].startswith("SSH        off\nthis host  has no key yet\n")
    code, out = call("ssh", "on")
    assert code == 3
    assert "ssh.keys: expected at least one key" in out or "ssh: expected at least one key" in out
    assert all(call[1] != "restart" for call in programs.calls)
    assert call("ssh", "add", stdin=public(key) + "\n") == (0, "the key is added\n")
    assert call("ssh", "add", public(key)) == (0, "that key is there already\n")
    assert call("ssh", "on") == (0, "SSH is on\n")
    assert (paths.ssh / "authorized_keys").exists()
    restarted = ["systemctl", "restart", "mailstead-ssh.service"]
    assert [call for call in programs.calls if call[1] == "restart"] == [restarted, restarted]
    found = json.loads(call("ssh", "status", "--json")[1])
    assert (found["enabled"], found["running"]) == (True, True)
    assert found["keys"][0]["fingerprint"].startswith("SHA256:")
    assert "ada@laptop" in call("ssh", "status")[1]
    code, out = call("ssh", "remove", "0")
    assert code == 3
    assert call("ssh", "off")[0] == 0
    assert list(paths.ssh.iterdir()) == []
    assert call("ssh", "remove", "0")[0] == 0
    assert call("ssh", "remove", "0")[0] == 3
    assert parse_settings(paths.settings.read_text(), "kept").ssh.keys == ()


def test_what_is_no_public_key_is_refused(call: Command, paths: Paths) -> None:
    code, out = call("ssh", "add", stdin="-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert code == 3
    assert "got a private key" in out
    assert paths.settings.read_text() == SETTINGS


def test_changed_settings_count_at_once(call: Command, programs: FakePrograms, key: Path) -> None:
    programs.add("mailstead")
    line = public(key)
    assert call("settings", "set", "ssh.enabled", "true", "ssh.keys", f"['{line}']")[0] == 0
    assert ["mailstead", "ssh", "apply"] in programs.calls
