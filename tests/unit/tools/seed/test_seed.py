"""`tools/forge seed`: the machine's own questions on another computer, and a check of a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from firstboot.base.codes import new_recovery_code
from firstboot.base.errors import SettingsError
from firstboot.base.questions.catalogue import questions
from firstboot.base.settings import parse_settings
from tests.unit.firstboot.samples import HASH, SETTINGS
from tests.unit.firstboot.test_questions import TYPED
from tools.seed.commands import seed

PASSWORD = TYPED["people[0].password_hash"]
RELAY = TYPED["relay.password"]
LINES = f"""\
dhcp
gmail.com
example.con
example.con
mail.example.org
ada
Ada
{PASSWORD}
{PASSWORD}
smtp.example.net
implicit
ada
{RELAY}
key-file
self-signed

disk:MAILBACKUP
usb

{PASSWORD}
{PASSWORD}
"""


def test_new_asks_what_the_machine_would_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.seed.ask.hash_password", lambda _password: HASH)
    file = tmp_path / "seed.yaml"
    done = CliRunner().invoke(seed, ["new", str(file)], input=LINES)
    assert done.exit_code == 0, done.output
    assert "gmail.com is somebody else's domain" in done.output
    assert "Did you mean example.com?" in done.output
    settings = parse_settings(file.read_text(), "x")
    assert settings.hostname == "mail.example.org"
    assert settings.people[0].address == "ada@example.con"
    assert settings.administrator.password_hash == HASH
    (place,) = settings.backup.targets
    assert (place.name, place.repository) == ("usb", "disk:MAILBACKUP")
    assert settings.relay.password == RELAY
    assert RELAY not in done.output
    assert file.stat().st_mode & 0o777 == 0o600
    # Every question that such a machine is asked was there.
    for question in questions():
        if (
            question.key.partition(".")[0] not in {"network", "updates"}
            and "email" not in question.key
        ):
            assert question.text in done.output


def test_new_writes_over_nothing_and_keeps_nothing_half_done(tmp_path: Path) -> None:
    file = tmp_path / "seed.yaml"
    file.write_text("mine")
    assert CliRunner().invoke(seed, ["new", str(file)]).exit_code == 2
    assert file.read_text() == "mine"
    other = tmp_path / "other.yaml"
    assert CliRunner().invoke(seed, ["new", str(other)], input="dhcp\n").exit_code == 1
    assert not other.exists()
    assert CliRunner().invoke(seed, ["new", str(tmp_path / "no/x.yaml")]).exit_code == 2


def validate(path: Path, text: str) -> dict[str, object]:
    path.write_text(text)
    done = CliRunner().invoke(seed, ["validate", str(path), "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    found: dict[str, object] = json.loads(done.output)
    return found


def test_validate(tmp_path: Path) -> None:
    file = tmp_path / "seed.yaml"
    assert validate(file, SETTINGS) == {"ok": True, "open": [], "doubts": []}
    found = validate(file, SETTINGS.replace("example.com", "gmail.com"))
    assert "gmail.com is somebody else's domain" in str(found["doubts"])
    found = validate(file, "version: 1\nhostname: mail.example.com\n")
    assert "domains: expected a list of mail domains" in str(found["open"])
    assert "people: expected" in str(found["open"])
    cloud = "#cloud-config\nusers: []\nmailstead:\n  version: 1\n"
    assert validate(file, cloud)["open"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SETTINGS + "hostnam: x\n", "seed.yaml:10: hostnam: unknown key; expected hostname?"),
        ("#cloud-config\nmailstead:\n  version: 2\n", "seed.yaml:3: version: expected 1, got 2"),
        ("#cloud-config\nusers: []\n", "expected a key mailstead"),
        ("\xff", "UTF-8"),
    ],
)
def test_validate_names_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "seed.yaml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"seed\.yaml") as caught:
        CliRunner().invoke(seed, ["validate", str(file)], catch_exceptions=False)
    assert said in str(caught.value)


def test_a_restore_is_a_seed_too(tmp_path: Path) -> None:
    file = tmp_path / "seed.yaml"
    code = new_recovery_code()
    file.write_text(f'version: 1\nrestore: {{repository: "disk:BACKUP", code: {code}}}\n')
    done = CliRunner().invoke(seed, ["validate", str(file)])
    assert done.output == f"{file} is right\n"
    file.write_text(f'version: 1\nrestore: {{repository: "disk:BACKUP", code: {code[:-1]}}}\n')
    done = CliRunner().invoke(seed, ["validate", str(file)])
    assert isinstance(done.exception, SettingsError)
    assert "restore.code: expected the recovery code" in str(done.exception)
