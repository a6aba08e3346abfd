"""Keys that a PKCS #11 token opens: SoftHSM, which has its tokens in files, by its real module.

What loads the module runs in a process of its own, as tools/forge does.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from firstboot.base.run import Completed, run
from tools.build.source import CHECKOUT
from tools.keys.commands import keys
from tools.keys.errors import KeysError
from tools.keys.folder import read_folder
from tools.keys.keyset import opened_keys
from tools.keys.token import parse_uri

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN, WRONG_PIN = "135790", "246801"
URI = f"pkcs11:token=releases;object=mailstead?module-path={MODULE}"
# A deadline, and no measure of anything.
SECONDS = 300.0

_MAKE_KEY = """
import sys, pkcs11
token = pkcs11.lib(sys.argv[1]).get_token(token_label="releases")
with token.open(user_pin=sys.stdin.read(), rw=True) as session:
    make, flags = session.generate_keypair, pkcs11.MechanismFlag
    make(pkcs11.KeyType.RSA, 2048, store=True, label="mailstead")
    only = flags.SIGN | flags.VERIFY
    make(pkcs11.KeyType.RSA, 2048, store=True, label="signer", capabilities=only)
"""
_SIGN = """
import sys
from pathlib import Path
from tools.host import memory
from tools.keys.opening import opened_release_keys
memory.MEMORY = Path(sys.argv[3])
with opened_release_keys(Path(sys.argv[1]), Path(sys.argv[2])) as keys:
    assert keys.pcr_key.is_relative_to(memory.MEMORY)
    print(keys.sign("{}").model_dump_json())
assert not list(memory.MEMORY.iterdir())
"""


@dataclass(frozen=True)
class Desk:
    """Where somebody signs: a token is plugged in, and PINs are in files."""

    folder: Path

    @property
    def pin(self) -> Path:
        return self.folder / "pin"

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    def python(self, *words: str | Path, stdin: str = "", check: bool = True) -> Completed:
        """Python in a process of its own, with the token."""
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(CHECKOUT),
            "SOFTHSM2_CONF": str(self.folder / "softhsm2.conf"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }
        argv = [sys.executable, "-P", *words]
        return run(argv, stdin=stdin, env=environment, check=check, timeout=SECONDS)

    def forge_keys(self, *words: str | Path, pin: str = PIN, check: bool = True) -> Completed:
        """`tools/forge keys` with the PIN in a file."""
        self.pin.write_text(f"{pin}\n")
        pin_words = ("--passphrase-file", self.pin)
        return self.python("-m", "tools", "keys", *words, *pin_words, check=check)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A token with a key, and a set of keys that it opens."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    (desk.folder / "tokens").mkdir()
    (desk.folder / "softhsm2.conf").write_text(f"directories.tokendir = {desk.folder}/tokens\n")
    words = ("--init-token", "--free", "--label", "releases", "--so-pin", PIN, "--pin", PIN)
    environment = {"PATH": os.environ["PATH"], "SOFTHSM2_CONF": f"{desk.folder}/softhsm2.conf"}
    run(["softhsm2-util", *words], env=environment, timeout=SECONDS)
    desk.python("-c", _MAKE_KEY, MODULE, stdin=PIN)
    made = desk.forge_keys("init", "--folder", desk.keys, "--token", URI, "--json")
    shown = json.loads(made.stdout)
    assert shown["token"] == {"module": MODULE, "token": "releases", "object": "mailstead"}
    assert shown["passphrase"] is False
    return desk


def test_a_release_is_signed_by_keys_that_the_token_opens(desk: Desk, shm: Path) -> None:
    desk.pin.write_text(PIN)
    done = desk.python("-c", _SIGN, desk.keys, desk.pin, shm)
    (signature,) = json.loads(done.stdout)["signatures"]
    assert signature["key"] == read_folder(desk.keys).record.signing[0]


def test_the_private_files_do_not_open_without_the_token(desk: Desk) -> None:
    found = read_folder(desk.keys)
    for name in found.private_files:
        assert b"BEGIN ENCRYPTED PRIVATE KEY" in (desk.keys / name).read_bytes()
    with pytest.raises(KeysError, match="need their PIN of the token releases"):
        found.password(None)


def test_a_wrong_pin_opens_nothing(desk: Desk) -> None:
    before = (desk.keys / "keys.json").read_bytes()
    done = desk.forge_keys("rotate", "--folder", desk.keys, pin=WRONG_PIN, check=False)
    assert (done.returncode, done.stdout) == (KeysError.exit_code, "")
    assert "the PIN of the token releases is wrong" in done.stderr
    assert "Traceback" not in done.stderr
    assert (desk.keys / "keys.json").read_bytes() == before


def test_a_rotation_takes_the_pin_too(desk: Desk) -> None:
    shown = json.loads(desk.forge_keys("rotate", "--folder", desk.keys, "--json").stdout)
    assert shown["rotating_from"] is not None
    done = desk.python("-m", "tools", "keys", "rotate", "--finish", "--folder", desk.keys)
    assert "token        releases, key mailstead" in done.stdout


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        (URI.replace("token=releases", "token=another"), "No token matching"),
        (URI.replace("object=mailstead", "object=another"), "No key matching"),
        (URI.replace("object=mailstead", "object=signer"), "may not decrypt"),
        (URI.replace(MODULE, "/no/such/module.so"), "cannot open shared object file"),
    ],
    ids=["token", "key", "use", "module"],
)
def test_what_is_not_there_is_told_and_nothing_is_made(desk: Desk, uri: str, text: str) -> None:
    place = desk.folder / "never"
    done = desk.forge_keys("init", "--folder", place, "--token", uri, check=False)
    assert done.returncode == KeysError.exit_code
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert not place.exists()


def test_a_changed_record_opens_nothing(desk: Desk, tmp_path: Path) -> None:
    copied = tmp_path / "changed"
    desk.python("-c", "import shutil, sys; shutil.copytree(*sys.argv[1:])", desk.keys, copied)
    record = json.loads((copied / "keys.json").read_text())
    wrapped = record["stretching"]["wrapped"]
    record["stretching"]["wrapped"] = wrapped[:-1] + ("0" if wrapped[-1] != "0" else "1")
    (copied / "keys.json").write_text(json.dumps(record))
    done = desk.forge_keys("rotate", "--folder", copied, check=False)
    assert done.returncode == KeysError.exit_code
    assert "does not open the keys" in done.stderr


def _change(record: dict[str, Any], name: str, value: object) -> dict[str, Any]:
    return record | {"stretching": record["stretching"] | {name: value}}


@pytest.mark.parametrize(
    ("name", "value"),
    [("kdf", "pkcs12"), ("module", "x.so"), ("token", ""), ("wrapped", "00"), ("pin", PIN)],
)
def test_a_wrong_record_is_explained(desk: Desk, tmp_path: Path, name: str, value: str) -> None:
    record = json.loads((desk.keys / "keys.json").read_text())
    (tmp_path / "keys.json").write_text(json.dumps(_change(record, name, value)))
    with pytest.raises(KeysError, match=name), opened_keys(tmp_path, b""):
        pytest.fail("opened")


def test_an_address_of_a_key() -> None:
    key = parse_uri("pkcs11:token=My%20token;id=%01;object=k?module-name=x&module-path=/a/b.so")
    assert (key.module, key.token, key.object) == ("/a/b.so", "My token", "k")


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "releases",
        "http:token=a;object=b?module-path=/c.so",
        "pkcs11:token=a?module-path=/c.so",
        "pkcs11:token=a;object=b",
        "pkcs11:token=a;object=b?module-path=c.so",
        "pkcs11:token=;object=b?module-path=/c.so",
    ],
)
def test_an_address_that_is_none(uri: str) -> None:
    with pytest.raises(KeysError, match="is not the whole address of a key"):
        parse_uri(uri)


def test_a_pin_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(KeysError) as caught:
        parse_uri(f"{URI}&pin-value={PIN}")
    assert PIN not in f"{caught.value.message}{caught.value.hint}"


def test_a_token_and_no_passphrase_are_refused(home: Path) -> None:
    words = ["init", "--no-passphrase", "--token", URI, "--folder", str(home / "keys")]
    assert CliRunner().invoke(keys, words).exit_code == 2
