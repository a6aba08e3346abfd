"""Opens the keys that releases are signed with, asking for what opens them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tools.keys.folder import key_folder, read_folder
from tools.keys.keyset import SigningKeys, opened_keys, require_release_keys
from tools.keys.passphrase import enter_passphrase


def opened_release_keys(
    folder: Path | None, passphrase_file: Path | None
) -> AbstractContextManager[SigningKeys]:
    """The keys in `folder` (None: where `forge keys init` puts them) for the time of the block.

    The passphrase is asked for at once, and not only when the block begins: whoever starts a long
    build should not be asked in the midst of it. Raises KeysError when there are no keys or, when
    the block begins, the passphrase is wrong, and BuildError for test keys.
    """
    place = key_folder(folder)
    stretching = read_folder(place).record.stretching
    passphrase = enter_passphrase(passphrase_file, stretching.asks) if stretching else None
    return _opened(place, passphrase)


@contextmanager
def _opened(place: Path, passphrase: bytes | None) -> Iterator[SigningKeys]:
    with opened_keys(place, passphrase) as keys:
        require_release_keys(keys)
        yield keys
