"""`mailstead backup`: what it asks, prints and refuses, and how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from firstboot.backup.making_commands import MAKING
from firstboot.base.backups import read_backups
from firstboot.base.errors import MailsteadError, UpdateRefusedError
from firstboot.base.paths import Paths
from firstboot.system.maintenance import maintenance
from firstboot.system.resticerrors import BackupError
from tests.unit.firstboot.backup.appliance import LABEL, Appliance

S3 = "[default]\naws_access_key_id = AKIA\naws_secret_access_key = s3cret-word\n"


@pytest.fixture
def run(appliance: Appliance, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("firstboot.backup.making_commands.Paths", lambda: appliance.paths)
    settings = yaml.safe_load(appliance.paths.settings.read_text())

    def call(*words: str, targets: object = None, stdin: str = "") -> tuple[int, str, str]:
        chosen = [{"name": "disk", "repository": f"disk:{LABEL}"}] if targets is None else targets
        appliance.paths.settings.write_text(
            yaml.safe_dump({**settings, "backup": {"targets": chosen}})
        )
        command = next(command for command in MAKING if command.name == words[0])
        done = CliRunner().invoke(command, list(words[1:]), input=stdin)
        if isinstance(done.exception, MailsteadError):
            raise done.exception
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout, done.stderr

    return call


def test_a_backup_is_made_listed_and_verified(run: Any, appliance: Appliance) -> None:
    code, out, said = run("now", "--json")
    assert code == 0
    shown = json.loads(out)
    assert shown["ok"] is True
    assert shown["targets"][0]["checked"] is True
    assert "disk: done," in said
    code, out, _ = run("list", "disk")
    assert (code, out.splitlines()[0][:16]) == (0, "disk: UNVERIFIED")
    assert shown["targets"][0]["snapshot"][:8] in out
    assert run("verify")[0] == 0
    code, out, _ = run("list", "--json")
    assert json.loads(out)["targets"][0]["state"] == "good"
    kinds = [entry.kind for entry in read_backups(appliance.paths.backup_history)]
    assert kinds == ["backup", "sample"]


def test_a_target_that_fails_is_in_the_exit_code(run: Any) -> None:
    gone = [{"name": "gone", "repository": "disk:NOWHERE"}]
    code, out, _ = run("now", "--json", targets=gone)
    assert (code, json.loads(out)["ok"]) == (17, False)
    with pytest.raises(BackupError, match="did not work with gone"):
        run("now", targets=gone)
    code, out, _ = run("list", "--json", targets=gone)
    assert code == 17
    assert "no disk labelled" in json.loads(out)["targets"][0]["error"]


def test_without_targets_one_is_told_how_to_add_one(run: Any) -> None:
    for verb in ("now", "list", "verify"):
        with pytest.raises(BackupError, match="no targets") as caught:
            run(verb, targets=[])
        assert "mailstead settings set backup.targets" in caught.value.hint
    assert "There are no targets" in run("targets", targets=[])[1]
    with pytest.raises(BackupError, match="no target 'other'"):
        run("now", "other")


def test_credentials_are_kept_and_never_shown(run: Any, appliance: Appliance) -> None:
    s3 = [{"name": "s3", "repository": "s3:https://s3.example.com/bucket"}]
    assert "NO CREDENTIALS" in run("targets", targets=s3)[1]
    with pytest.raises(
        BackupError, match="no credentials for s3: expected a credentials"
    ) as caught:
        run("targets", "--credentials", "s3", targets=s3, stdin="AKIA s3cret-word")
    assert "s3cret-word" not in str(caught.value)
    code, out, said = run("targets", "--credentials", "s3", targets=s3, stdin=S3)
    assert code == 0
    assert "credentials kept" in out
    assert "s3cret-word" not in out + said
    kept = appliance.paths.backup_credentials / "s3"
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == (S3, 0o600)
    assert json.loads(run("targets", "--json", targets=s3)[1])["targets"][0]["credentials"] is True


S3_TARGET = [{"name": "s3", "repository": "s3:https://s3.example.com/bucket"}]
SFTP_TARGET = [{"name": "home", "repository": "sftp:ada@backup.example.com:/srv/mail"}]
SFTP = "\n".join(
    [
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "b3BlbnNzaC1rZXktdjE.",
        "-----END OPENSSH PRIVATE KEY-----",
        "backup.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA",
        "",
    ]
)


def test_credentials_are_asked_for_at_a_terminal(
    run: Any, appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True)
    words = ("targets", "--credentials")
    code, out, said = run(*words, "s3", targets=S3_TARGET, stdin="AKIA s3cret-word\n")
    assert code == 0
    assert "Access key's id and secret" in out + said
    assert "s3cret-word" not in out + said
    assert (appliance.paths.backup_credentials / "s3").read_text() == S3
    code, out, said = run(*words, "home", targets=SFTP_TARGET, stdin=f"{SFTP}.\nnot read\n")
    assert code == 0
    assert "End with a line that has nothing but ." in said
    assert (appliance.paths.backup_credentials / "home").read_text() == SFTP


def test_credentials_come_on_a_stick(run: Any, appliance: Appliance) -> None:
    words = ("targets", "--credentials", "home", "--stick")
    with pytest.raises(BackupError, match=f"no file credentials-home.txt on {LABEL}"):
        run(*words, LABEL, targets=SFTP_TARGET)
    file = appliance.disk / "credentials-home.txt"
    file.write_bytes(b"\xef\xbb\xbf" + SFTP.replace("\n", "\r\n").encode())
    assert run(*words, LABEL, targets=SFTP_TARGET)[0] == 0
    kept = appliance.paths.backup_credentials / "home"
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == (SFTP, 0o600)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BackupError, match="is no text"):
        run(*words, LABEL, targets=SFTP_TARGET)
    assert kept.read_text() == SFTP
    with pytest.raises(BackupError, match="no disk labelled OTHER"):
        run(*words, "OTHER", targets=SFTP_TARGET)
    code, _, said = run("targets", "--stick", LABEL, targets=SFTP_TARGET)
    assert (code, "whose they are" in said) == (2, True)


def test_an_upgrade_and_a_backup_keep_away_from_each_other(run: Any, appliance: Appliance) -> None:
    with (
        maintenance(appliance.paths.maintenance_lock, "an upgrade", UpdateRefusedError),
        pytest.raises(BackupError, match="an upgrade is under way"),
    ):
        run("now")
    assert read_backups(appliance.paths.backup_history) == ()


def test_the_schedule_is_shown(run: Any) -> None:
    shown = json.loads(run("schedule", "--json")[1])
    assert (shown["schedule"], shown["next"], shown["keep"]["daily"]) == ("00:00-02:00", None, 7)
    assert "not known yet" in run("schedule")[1]


def test_what_is_due_is_said_in_one_line(run: Any) -> None:
    code, out, _ = run("automatic", "--json")
    assert code == 0
    assert json.loads(out)["decision"].startswith("the next backup is due at")
    assert "no targets" in json.loads(run("automatic", "--json", targets=[])[1])["decision"]


def test_every_verb_has_help_and_json() -> None:
    for command in MAKING:
        assert len(command.help or "") > 50
        assert any("--json" in parameter.opts for parameter in command.params)
    assert Paths().backup_credentials.is_relative_to("/state")
