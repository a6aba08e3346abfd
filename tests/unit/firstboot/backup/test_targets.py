"""Getting in at targets: a real SSH server, a real REST server, and what is wrong with each."""

from __future__ import annotations

import getpass
import shutil
from pathlib import Path

import pytest

from firstboot.backup.engine import Machine, back_up
from firstboot.backup.keys import present_recovery
from firstboot.backup.kit import Opening, kit_text
from firstboot.backup.targets import write_credentials
from firstboot.base.run import run
from firstboot.base.sections import BackupTarget
from firstboot.system.resticerrors import BackupError
from tests.unit.firstboot.backup.appliance import HOST, Appliance
from tests.unit.firstboot.backup.laptop import require_opens
from tests.unit.firstboot.backup.servers import server
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.ports import free_port


def make_key(path: Path) -> str:
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    run(argv)
    return path.read_text()


def begin_repository(appliance: Appliance, machine: Machine, folder: Path) -> None:
    """Have restic make one, and put one into its place whose keys cost nothing."""
    appliance.begin_repository(machine)
    shutil.rmtree(folder)
    appliance.make_repository(folder)


def page(appliance: Appliance, target: BackupTarget) -> str:
    """The recovery kit of a machine with this target."""
    recovery = present_recovery(appliance.paths)
    return kit_text(HOST, recovery, [Opening(target.name, target.repository)])


def test_an_ssh_server(appliance: Appliance, tmp_path: Path, programs: FakePrograms) -> None:
    port, folder = free_port(), tmp_path / "ssh"
    folder.mkdir(mode=0o700)
    private, _ = make_key(folder / "mine"), make_key(folder / "host")
    Path("/run/sshd").mkdir(exist_ok=True)
    options = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "mine.pub",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "PidFile": "none",
        "Subsystem": "sftp internal-sftp",
    }
    config = folder / "sshd_config"
    config.write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    place = f"sftp://{getpass.getuser()}@127.0.0.1:{port}/{tmp_path}/far"
    target = BackupTarget(name="far", repository=place)
    machine = appliance.machine(targets=(target,))
    known = f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}"
    with server(["/usr/sbin/sshd", "-D", "-f", str(config)], port, folder / "log"):
        (entry,) = back_up(machine, machine.targets, appliance.said.append)
        assert "no credentials for far" in entry.reason
        write_credentials(appliance.paths, target, private + known)
        begin_repository(appliance, machine, tmp_path / "far")
        (entry,) = back_up(machine, machine.targets, appliance.said.append)
        assert entry.reason == ""
        assert list((tmp_path / "far" / "snapshots").iterdir())
        # On a laptop the key and the known server are in ~/.ssh.
        (folder / "known").write_text(known)
        kept = f"-i {folder / 'mine'} -o UserKnownHostsFile={folder / 'known'}"
        programs.add("ssh", f'exec /usr/bin/ssh -F none {kept} "$@"')
        require_opens(page(appliance, target), {}, tmp_path / "laptop", appliance)
        (programs.directory / "ssh").unlink()
        # A server that is another one than it was.
        other = make_key(folder / "other") and (folder / "other.pub").read_text()
        write_credentials(appliance.paths, target, f"{private}[127.0.0.1]:{port} {other}")
        (entry,) = back_up(machine, machine.targets, appliance.said.append)
        assert "cannot be entered" in entry.reason
        assert "host key" in entry.reason
    assert not list((appliance.paths.runtime / "backup").iterdir()), "no key is left in memory"


def test_a_rest_server(appliance: Appliance, tmp_path: Path) -> None:
    port = free_port()
    target = BackupTarget(name="rest", repository=f"rest:http://127.0.0.1:{port}/mail/")
    machine = appliance.machine(targets=(target,))
    argv = ["rclone", "--config", str(tmp_path / "none"), "serve", "restic", "--append-only"]
    argv += ["--addr", f"127.0.0.1:{port}", "--user", "ada", "--pass", "p:ss/w@rd", str(tmp_path)]
    with server(argv, port, tmp_path / "log"):
        write_credentials(appliance.paths, target, "ada:p:ss/w@rd\n")
        (entry,) = back_up(machine, machine.targets, appliance.said.append)
        assert entry.reason == ""
        (tmp_path / "mail" / "config").stat()
        names = {"USERNAME='...'": "ada", "PASSWORD='...'": "p:ss/w@rd"}
        typed_in = {text: text.replace("...", value) for text, value in names.items()}
        require_opens(page(appliance, target), typed_in, tmp_path / "laptop", appliance)
        write_credentials(appliance.paths, target, "ada:wrong\n")
        (entry,) = back_up(machine, machine.targets, appliance.said.append)
        assert not entry.good
        assert "wrong" not in entry.reason.replace("wrong password", "")


def test_rclone_itself(appliance: Appliance, tmp_path: Path) -> None:
    target = BackupTarget(name="cloud", repository=f"rclone:far:{tmp_path}/cloud")
    machine = appliance.machine(targets=(target,))
    write_credentials(appliance.paths, target, "[far]\ntype = local\n")
    begin_repository(appliance, machine, tmp_path / "cloud")
    (entry,) = back_up(machine, machine.targets, appliance.said.append)
    assert entry.reason == ""
    assert list((tmp_path / "cloud" / "snapshots").iterdir())


@pytest.mark.parametrize(
    ("repository", "text"),
    [
        ("s3:https://s3.example.com/bucket", "only words"),
        ("sftp:ada@example.com:/mail", "ssh-ed25519 AAAA a public key"),
        ("rest:https://example.com/", "two\nlines:"),
        ("rclone:far:folder", "type = local"),
        ("disk:BACKUP", "anything"),
        ("rest:https://example.com/", "a:" + "b" * 100_000),
    ],
)
def test_what_are_no_credentials(appliance: Appliance, repository: str, text: str) -> None:
    target = BackupTarget(name="home", repository=repository)
    with pytest.raises(BackupError, match="these are no credentials for home: expected"):
        write_credentials(appliance.paths, target, text)
    assert not appliance.paths.backup_credentials.exists()
