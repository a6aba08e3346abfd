"""Second factors: what somebody who signs in at the web pages shows besides the password.

They guard the pages only, and open nothing: a vault opens by a password or code that its key is
wrapped under. Whoever has one uses the own password at the pages alone (`accounts`); programs have
app passwords.

Every method blocks, so call it off the event loop. Methods raise SecretRefusedError when what was
shown is wrong, AccountError when something is not done, and StorageUnavailableError.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from postmaster.crypto import person_id
from postmaster.crypto.codes import read_recovery_code
from postmaster.crypto.totp import new_key, read_key, step_of, uri_of, written
from postmaster.crypto.wraps import WrapKind
from postmaster.directory.changes import Changes
from postmaster.directory.factor_table import FactorTable, Passkey, Totp
from postmaster.directory.keyring import Keyring
from postmaster.directory.people import Person
from postmaster.errors import AccountError, SecretRefusedError

TOTP = "totp"  # the name of an authenticator app; a passkey's is its id in hexadecimal digits
MAX_PASSKEYS = 20  # of one person
MAX_LABEL = 60  # characters


def now() -> float:
    """Return seconds since 1970."""
    return time.time()


def read_name(name: str) -> bytes:
    """Return the id of a passkey, b"" for what is none."""
    try:
        return bytes.fromhex(name)
    except ValueError:
        return b""


class SecondFactors:
    """All of that."""

    def __init__(self, keys: Keyring, changes: Changes, host: Callable[[], str]) -> None:
        """`host` returns the name that the pages are at; passkeys are for it and no other."""
        self._host = host
        self._keys = keys
        self._changes = changes
        self._table = FactorTable(keys.database.query)

    def new_totp(self, person: Person, key: str) -> tuple[str, str]:
        """Return a key for an authenticator app and its `otpauth:` address; nothing is kept.

        It is a new one unless `key` is one that was made before and not used yet.
        """
        made = read_key(key) or new_key()
        return written(made), uri_of(made, person.address, self._host())

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

    def passkeys(self, person: Person) -> tuple[Passkey, ...]:
        """Return somebody's passkeys."""
        return self._table.passkeys(person_id(person.address))

    def ask_new_passkey(self, person: Person) -> tuple[str, str]:
        """Return a question for a browser, and the state for its answer; nothing is kept."""
        from postmaster.directory.passkeys import ask_new  # noqa: PLC0415 - see there

        known = self.passkeys(person)
        if len(known) >= MAX_PASSKEYS:
            raise AccountError(f"{person.address} has {MAX_PASSKEYS} passkeys", "remove one")
        return ask_new(self._host(), person.address, [passkey.credential for passkey in known])

    def add_passkey(
        self, person: Person, password: str, label: str, state: str, answer: str
    ) -> None:
        """Take the passkey that has answered.

        Raises AccountError for an answer that is none, SecretRefusedError for a wrong password.
        """
        from postmaster.directory.passkeys import AnswerError, read_new  # noqa: PLC0415

        if not label.isprintable() or not 0 < len(label) <= MAX_LABEL:
            raise AccountError(f"a label has 1 to {MAX_LABEL} printable characters")
        try:
            name, credential, counter = read_new(self._host(), state, answer)
        except AnswerError:
            raise AccountError("this is no answer of a new passkey") from None
        known = self.passkeys(person)
        if len(known) >= MAX_PASSKEYS or name in {passkey.id for passkey in known}:
            raise AccountError(f"{person.address} has this passkey already, or too many")
        _, opened = self._changes.prove_and_lock(person, password)
        opened.wipe()
        self._table.add_passkey(person_id(person.address), name, label, credential, counter)

    def ask_passkey(self, person: Person) -> tuple[str, str]:
        """Return a question for a browser that shall show a passkey, and the state."""
        from postmaster.directory.passkeys import ask_known  # noqa: PLC0415

        known = self.passkeys(person)
        if not known:
            raise AccountError(f"{person.address} has no passkey")
        return ask_known(self._host(), [passkey.credential for passkey in known])

    def check_passkey(self, person: Person, state: str, answer: str) -> None:
        """Take the answer of a passkey."""
        from postmaster.directory.passkeys import AnswerError, read_known  # noqa: PLC0415

        known = [passkey.credential for passkey in self.passkeys(person)]
        try:
            name, counter = read_known(self._host(), known, state, answer)
        except AnswerError:
            raise SecretRefusedError(f"this is no passkey of {person.address}") from None
        if not self._table.note_passkey(person_id(person.address), name, counter):
            raise SecretRefusedError(f"a passkey of {person.address} has shown this before")

    def remove(self, person: Person, password: str, name: str) -> None:
        """Remove one of somebody who shows the password: `totp`, or a passkey by its id."""
        _, opened = self._changes.prove_and_lock(person, password)
        opened.wipe()
        owner = person_id(person.address)
        if name == TOTP:
            gone = self._table.remove_totp(owner)
        else:
            gone = self._table.remove_passkey(owner, read_name(name))
        if not gone:
            raise AccountError(f"{person.address} has no such second factor")
        self._keys.database.forget_log()

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
        known = self._table.remove_all(person_id(address))
        self._keys.database.forget_log()
        return known
