"""Second factors: what somebody who signs in at the web pages shows besides the password.

They guard the pages only, and open nothing: a vault opens by a password or code that its key is
wrapped under. Whoever has one uses the own password at the pages alone (`accounts`); programs have
app passwords.

Every method blocks, so call it off the event loop. Methods raise SecretRefusedError when what was
shown is wrong, AccountError when something is not done, and StorageUnavailableError.
"""

from __future__ import annotations

import time

from postmaster.crypto import person_id
from postmaster.crypto.codes import read_recovery_code
from postmaster.crypto.totp import new_key, read_key, step_of, uri_of, written
from postmaster.crypto.wraps import WrapKind
from postmaster.directory.changes import Changes
from postmaster.directory.factor_table import FactorTable, Totp
from postmaster.directory.keyring import Keyring
from postmaster.directory.people import Person
from postmaster.errors import AccountError, SecretRefusedError


def now() -> float:
    """Return seconds since 1970."""
    return time.time()


class SecondFactors:
    """All of that."""

    def __init__(self, keys: Keyring, changes: Changes) -> None:
        self._keys = keys
        self._changes = changes
        self._table = FactorTable(keys.database.query)

    def new_totp(self, person: Person, issuer: str, key: str) -> tuple[str, str]:
        """Return a key for an authenticator app and its `otpauth:` address; nothing is kept.

        It is a new one unless `key` is one that was made before and not used yet.
        """
        made = read_key(key) or new_key()
        return written(made), uri_of(made, person.address, issuer)

    def add_totp(self, person: Person, password: str, key: str, code: str) -> None:
        """Take an authenticator app that shows, by a code, that it has the key.

        Raises AccountError for a wrong code, SecretRefusedError for a wrong password.
        """
        read = read_key(key)
        step = None if read is None else step_of(read, code, now(), 0)
        if read is None or step is None:
            raise AccountError("this is no code of the new authenticator app")
        _, opened = self._changes.prove_and_lock(person, password)
        opened.wipe()
        self._table.set_totp(person_id(person.address), Totp(read, step))
        self._keys.database.forget_log()

    def check_totp(self, person: Person, code: str) -> None:
        """Take a code of the authenticator app, once."""
        owner = person_id(person.address)
        totp = self._table.totp(owner)
        step = None if totp is None else step_of(totp.key, code, now(), totp.step)
        if totp is None or step is None or not self._table.take_step(owner, totp, step):
            raise SecretRefusedError(f"this is no code of {person.address}")

    def remove(self, person: Person, password: str) -> None:
        """Remove all second factors of somebody who shows the password."""
        _, opened = self._changes.prove_and_lock(person, password)
        opened.wipe()
        self.forget(person.address)

    def drop(self, person: Person, recovery_code: str) -> None:
        """Do the same for somebody who has lost them; no password will do in place of the code."""
        entry = self._keys.entry(person.address)
        code = read_recovery_code(recovery_code)
        opened = (
            None if code is None else self._keys.open(entry.vault, WrapKind.RECOVERY, code.encode())
        )
        if opened is None:
            raise SecretRefusedError(f"this is not the recovery code of {person.address}")
        opened.wipe()
        self.forget(person.address)

    def forget(self, address: str) -> bool:
        """Remove all second factors of somebody, unasked; say whether there was one."""
        known = self._table.remove(person_id(address))
        self._keys.database.forget_log()
        return known
