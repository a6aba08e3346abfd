"""What a person, or who looks after the machine, changes: passwords, app passwords, recovery codes.

Every method blocks, so call it off the event loop. Methods raise AccountError when something is
not done, and StorageUnavailableError.
"""

from __future__ import annotations

import secrets
import time

from postmaster.crypto import DataKey, person_id, verify_password
from postmaster.crypto.codes import (
    grouped,
    new_app_password,
    new_recovery_code,
    read_recovery_code,
)
from postmaster.crypto.sealing import Purpose, seal
from postmaster.crypto.wraps import Owner, Scope, WrapKind, scope_key
from postmaster.directory.database import AppEntry, PersonEntry, VaultEntry
from postmaster.directory.keyring import Keyring
from postmaster.directory.people import Person
from postmaster.errors import AccountError, SecretRefusedError

MAX_APPS = 50  # of one person
MAX_LABEL = 60  # characters
MIN_PASSWORD = 10  # characters, as for the first password
MAX_PASSWORD_BYTES = 1024


class Changes:
    """All of that."""

    def __init__(self, keys: Keyring) -> None:
        self._keys = keys

    def change_password(
        self, person: Person, secret: str, new: str, *, code_only: bool = False
    ) -> None:
        """Put the key under a new password; `secret` is the old one or the recovery code.

        `code_only`: the old one will not do.
        """
        check_password(new)
        if code_only and read_recovery_code(secret) is None:
            raise SecretRefusedError(f"this is not the recovery code of {person.address}")
        entry, key = self._prove(person, secret, recovery=True)
        self._keys.set_password(entry.vault.owner, key, new)
        key.wipe()

    def reset_password(self, person: Person, new: str) -> bool:
        """Set a password without the old one; say whether the old mail is sealed from now on.

        Before the first login nothing is lost. Later, a new vault takes new mail, and the old one
        waits for its recovery code or password (`unlock_former`).
        """
        check_password(new)
        entry = self._keys.entry(person.address)
        key = self._keys.open_provisional(entry.vault)
        if key is not None:
            self._keys.set_password(entry.vault.owner, key, new)
            key.wipe()
            return False
        owner = Owner(person_id(person.address), secrets.token_hex(16))
        key = DataKey.random()
        self._keys.add_vault(person.address, owner, key, WrapKind.PASSWORD, new.encode())
        key.wipe()
        return True

    def new_recovery_code(self, person: Person, password: str) -> str:
        """Return a recovery code, the only one from now on, as it is shown to the person."""
        entry, key = self.prove_and_lock(person, password)
        owner, code = entry.vault.owner, new_recovery_code()
        blob = self._keys.wrap(owner, WrapKind.RECOVERY, code.encode(), key.secret)
        key.wipe()
        self._keys.database.set_wrap(owner, WrapKind.RECOVERY, blob)
        self._keys.database.forget_log()
        return grouped(code)

    def add_app(self, person: Person, password: str, label: str, scopes: Scope) -> str:
        """Return a new app password, as it is shown to the person."""
        if not scopes:
            raise AccountError("an app password is for something", "mail, dav or send")
        if not label.isprintable() or not 0 < len(label) <= MAX_LABEL:
            raise AccountError(f"a label has 1 to {MAX_LABEL} printable characters")
        entry, key = self.prove_and_lock(person, password)
        if len(entry.apps) >= MAX_APPS:
            raise AccountError(f"{person.address} has {MAX_APPS} app passwords", "revoke one")
        owner, app = entry.vault.owner, new_app_password()
        while app.id in {known.id for known in entry.apps}:
            app = new_app_password()
        content, now = scope_key(key, scopes), int(time.time())
        key.wipe()
        blob = self._keys.wrap(owner, WrapKind.APP_PASSWORD, app.text.encode(), content, scopes)
        self._keys.database.add_app(owner, AppEntry(app.id, label, scopes, now, None, blob))
        return grouped(app.text)

    def revoke_app(self, person: Person, app: str) -> None:
        """Remove an app password by its id."""
        entry = self._keys.database.person(person.address)
        if entry is None or not self._keys.database.remove_app(entry.vault.owner, app):
            raise AccountError(f"{person.address} has no app password {app!r}")
        self._keys.database.forget_log()

    def unlock_former(self, person: Person, secret: str) -> int:
        """Hand former vaults over to the present one, whose next login moves their mail in.

        `secret` is a recovery code or password of theirs. Returns how many it opened.
        """
        entry = self._keys.database.person(person.address)
        if entry is None or not entry.former:
            raise AccountError(f"{person.address} has no sealed mail")
        opened = 0
        for old in entry.former:
            key = self._keys.open_by_person(old, secret)
            if key is not None:
                self._hand_over(old.owner, entry.vault, key)
                opened += 1
        if not opened:
            raise SecretRefusedError(
                "this neither is a recovery code nor a password of the sealed mail"
            )
        return opened

    def vaults(self, address: str) -> tuple[bool, list[str]]:
        """Return whether anything is known of an address, and which vaults it may have."""
        entry = self._keys.database.person(address)
        if entry is None:
            return False, [person_id(address)]
        vaults = {vault.owner.vault for vault in (entry.vault, *entry.former)}
        return True, sorted({*vaults, person_id(address)})

    def destroy(self, address: str) -> bool:
        """Destroy every key of somebody who has left; say whether there was one."""
        known = self._keys.database.destroy_person(person_id(address))
        self._keys.database.forget_log()
        return known

    def entry(self, address: str) -> PersonEntry | None:
        """Return what is known of a person."""
        return self._keys.database.person(address)

    def _hand_over(self, former: Owner, present: VaultEntry, key: DataKey) -> None:
        sealed = seal(
            present.public_key, Purpose.FORMER_KEY, present.owner.vault, bytes(key.secret)
        )
        key.wipe()
        self._keys.database.hand_over(former, sealed)

    def _prove(
        self, person: Person, secret: str, *, recovery: bool = False
    ) -> tuple[PersonEntry, DataKey]:
        """Return the person's entry and key. Raises AccountError when the secret is wrong."""
        entry = self._keys.entry(person.address)
        if WrapKind.PASSWORD not in entry.vault.wraps:
            right = verify_password(person.password_hash, secret)
            key = self._keys.open_provisional(entry.vault) if right else None
        elif recovery:
            key = self._keys.open_by_person(entry.vault, secret)
        else:
            key = self._keys.open(entry.vault, WrapKind.PASSWORD, secret.encode())
        if key is None:
            what = "neither the password nor the recovery code" if recovery else "not the password"
            raise SecretRefusedError(f"this is {what} of {person.address}")
        return entry, key

    def prove_and_lock(self, person: Person, password: str) -> tuple[PersonEntry, DataKey]:
        """Do the same; before the first login, put the key under the password at that."""
        entry, key = self._prove(person, password)
        if WrapKind.PASSWORD not in entry.vault.wraps:
            self._keys.set_password(entry.vault.owner, key, password)
        return entry, key


def check_password(new: str) -> None:
    """Raise AccountError when this cannot be somebody's password."""
    if len(new) < MIN_PASSWORD:
        raise AccountError(f"a password has at least {MIN_PASSWORD} characters")
    if len(new.encode()) > MAX_PASSWORD_BYTES or not new.isprintable():
        raise AccountError(f"a password has at most {MAX_PASSWORD_BYTES} printable bytes")
