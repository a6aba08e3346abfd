"""Opened keys: what a build signs an image with, and publishing a release."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.manifest import FORMAT, Envelope, ReleaseKey, dump_keys
from tools.build.errors import BuildError
from tools.build.source import CHECKOUT
from tools.host.cache import cache_folder, lock, remove
from tools.host.memory import MEMORY, memory_folder, other_file_system
from tools.keys.certificates import SUBJECTS
from tools.keys.errors import KeysError
from tools.keys.folder import KeyFolder, file_errors, make_folder, read_folder, release_files
from tools.keys.pem import dump_private, load_certified, load_release_pair
from tools.keys.record import Kind


@dataclass(frozen=True)
class SigningKeys:
    """Keys that can be used: `folder` holds readable PEM files for as long as they are open.

    `trusted` are the release keys that go into the slot. `signing` are the ids of the pairs that
    sign releases, the own one first.
    """

    kind: Kind
    folder: Path
    trusted: tuple[ReleaseKey, ...]
    signing: tuple[str, ...]

    @property
    def secure_boot_key(self) -> Path:
        return self.folder / "secure-boot.key"

    @property
    def secure_boot_certificate(self) -> Path:
        return self.folder / "secure-boot.crt"

    @property
    def verity_key(self) -> Path:
        return self.folder / "verity.key"

    @property
    def verity_certificate(self) -> Path:
        return self.folder / "verity.crt"

    @property
    def pcr_key(self) -> Path:
        return self.folder / "pcr.key"

    @property
    def pcr_certificate(self) -> Path:
        return self.folder / "pcr.crt"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that an image shows of the keys, in hexadecimal: for build caches."""
        digest = hashlib.sha256()
        for name in SUBJECTS:
            digest.update((self.folder / f"{name}.crt").read_bytes())
        digest.update(dump_keys(self.trusted).encode())
        return digest.hexdigest()

    def sign(self, manifest_text: str) -> Envelope:
        """The manifest in an envelope with the signatures of each signing pair."""
        unsigned = Envelope(format=FORMAT, manifest=manifest_text, signatures=())
        pairs = [load_release_pair(self.folder, release_files(key), None) for key in self.signing]
        signatures = tuple(pair.sign(unsigned.message) for pair in pairs)
        return unsigned.model_copy(update={"signatures": signatures})


@contextmanager
def opened_keys(folder: Path, passphrase: bytes | None) -> Iterator[SigningKeys]:
    """The keys in `folder`, for the time of the block.

    What is encrypted is decrypted into memory, in a folder that goes when the block ends, also by
    an exception such as KeyboardInterrupt. `passphrase` does not matter when the keys have none.
    Raises KeysError when the passphrase is wrong, or files do not belong together.
    """
    found = read_folder(folder)
    if found.record.stretching is None:
        with file_errors(folder):
            _open(found, None, None)
        yield _signing_keys(found, folder)
        return
    password = found.password(passphrase)
    _require_memory()
    with memory_folder("keys") as opened:
        with file_errors(folder):
            _open(found, password, opened)
        yield _signing_keys(found, opened)


def _require_memory() -> None:
    if kind := other_file_system():
        raise KeysError(
            f"the keys cannot be opened: {MEMORY} is {kind}, not memory (tmpfs)",
            f"Mount a tmpfs at {MEMORY}: opened keys are never written to a disk.",
        )


@contextmanager
def opened_test_keys() -> Iterator[SigningKeys]:
    """The test keys of this checkout, made when they are first wanted."""
    checkout = hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:16]
    folder = cache_folder("keys") / checkout
    with lock(f"keys-{checkout}", "making test keys"):
        try:
            with opened_keys(folder, None):
                pass
        except KeysError:
            # Missing, damaged, or of a version that wrote them in another way: nothing to save.
            remove(folder)
            make_folder(folder, "test", None, now=datetime.datetime.now(datetime.UTC))
    with opened_keys(folder, None) as keys:
        yield keys


def require_release_keys(keys: SigningKeys) -> None:
    """BuildError when a release would be signed by keys that any test on this host may use."""
    if keys.kind != "release":
        raise BuildError(
            f"the keys in {keys.folder} are test keys, which no release is signed with",
            "Make keys for releases: tools/forge keys init",
        )


def _open(found: KeyFolder, password: bytes | None, target: Path | None) -> None:
    """Read every file and see that all belong together; write them in clear into `target`."""
    files: dict[str, bytes] = {}
    for name in SUBJECTS:
        certified = load_certified(found.path, name, password)
        files[f"{name}.key"] = dump_private(certified.key, None)
        files[f"{name}.crt"] = certified.certificate_pem
    trusted = {key.id: key for key in found.record.trusted}
    for key in found.record.signing:
        names = release_files(key)
        pair = load_release_pair(found.path, names, password)
        if pair.public.id != key or trusted.get(key, pair.public) != pair.public:
            raise KeysError(f"{names[0]} and {names[1]} in {found.path} are not the key {key}")
        files[names[0]] = dump_private(pair.ed25519, None)
        files[names[1]] = dump_private(pair.ml_dsa_65, None)
    if target is not None:
        for name, content in files.items():
            (target / name).write_bytes(content)
            (target / name).chmod(0o600)


def _signing_keys(found: KeyFolder, folder: Path) -> SigningKeys:
    record = found.record
    return SigningKeys(record.kind, folder, record.trusted, record.signing)
