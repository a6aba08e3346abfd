"""Logins: what a password opens; and where a person's mail goes.

Every method blocks, so call it off the event loop; several may run at once. Methods raise
AccountError when something is not done, and StorageUnavailableError.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from postmaster.crypto import DataKey, person_id, verify_password
from postmaster.crypto.codes import read_app_password
from postmaster.crypto.passwords import SALT_BYTES
from postmaster.crypto.sealing import Purpose, SealError, private_key, unseal
from postmaster.crypto.wraps import Owner, Scope, WrapKind, scope_key
from postmaster.directory.database import AppEntry, PersonEntry, RecipientEntry
from postmaster.directory.keyring import Keyring, opened
from postmaster.directory.people import Person
from postmaster.errors import AccountError

# How long a key file of the first release stays, so that an upgrade can be taken back.
ADOPTION_SECONDS = 7 * 24 * 3600

_KEYED = (Scope.MAIL, Scope.DAV)  # scopes whose logins open something


@dataclass(frozen=True)
class Opened:
    """A login that is right, with the key for its scope: for sending there is none."""

    vault: str
    key: DataKey | None = field(repr=False)
    former: Sequence[tuple[str, DataKey]] = field(default=(), repr=False)  # to be moved in
    first: bool = False  # the key is under no password yet: call `lock_first` when answered
    second_factor: bool = False  # is still to be shown


class Accounts:
    """What services ask about people."""

    def __init__(self, keys: Keyring) -> None:
        self._keys = keys

    # Logins

    def log_in(
        self,
        person: Person | None,
        password: str,
        scope: Scope,
        *,
        keys: bool,
        own: bool = False,
    ) -> Opened | None:
        """Return what a password opens, None when it is wrong or not for this scope.

        It costs one Argon2id, and how long it takes does not tell whether the person exists. `own`:
        no app password will do, and a second factor has been shown already.
        """
        if person is None:
            self._keys.parameters.derive(password.encode(), bytes(SALT_BYTES))
            return None
        entry = self._keys.database.person(person.address)
        app = _app_of(entry, password)
        if entry is not None and app is not None:
            return self._log_in_with_app(entry, app, password, Scope.ALL if own else scope)
        if entry is None or WrapKind.PASSWORD not in entry.vault.wraps:
            return self._log_in_first(person, password, scope, keys=keys)
        key = self._keys.open(entry.vault, WrapKind.PASSWORD, password.encode())
        if key is None or own or not entry.factors:
            return None if key is None else self._opened(entry, key, scope)
        # No mail program asks for a second factor: who has the password alone gets nothing there,
        # and does not learn that it is right.
        key.wipe()
        if scope is not Scope.ALL:
            return None
        return Opened(entry.vault.owner.vault, None, second_factor=True)

    def log_in_machine(self, address: str, token: str) -> Opened:
        """Return what the canary's token, already known to be right, opens."""
        secret = bytes.fromhex(token)
        entry = self._keys.database.person(address)
        key = None if entry is None else self._keys.open(entry.vault, WrapKind.TOKEN, secret)
        if entry is None or key is None:
            # Its mail is worth nothing, so a lost token costs nothing.
            key = DataKey.random()
            owner = Owner(
                person_id(address),
                person_id(address) if entry is None else secrets.token_hex(16),
            )
            self._keys.add_vault(address, owner, key, WrapKind.TOKEN, secret)
            return Opened(owner.vault, key)
        return Opened(entry.vault.owner.vault, key)

    def _log_in_with_app(
        self, entry: PersonEntry, app: AppEntry, password: str, scope: Scope
    ) -> Opened | None:
        secret = read_app_password(password)
        content = (
            None if secret is None else opened(app.wrap, entry.vault.owner, secret.text.encode())
        )
        # One for everything is still none of the person's own: it opens no pages.
        if content is None or scope is Scope.ALL or scope not in app.scopes:
            return None
        self._keys.database.note_use(entry.vault.owner, app)
        if scope is Scope.DAV and Scope.MAIL not in app.scopes:
            return Opened(entry.vault.owner.vault, DataKey(content))
        if scope not in _KEYED:
            return Opened(entry.vault.owner.vault, None)
        return self._opened(entry, DataKey(content), scope)

    def _log_in_first(
        self, person: Person, password: str, scope: Scope, *, keys: bool
    ) -> Opened | None:
        if not verify_password(person.password_hash, password):
            return None
        if not keys or scope not in _KEYED:
            return Opened(person_id(person.address), None)
        entry = self._keys.entry(person.address)
        key = self._keys.open_provisional(entry.vault)
        if key is None:
            # Somebody was first this very moment: now there is a wrap to open.
            entry = self._keys.entry(person.address)
            key = self._keys.open(entry.vault, WrapKind.PASSWORD, password.encode())
            return None if key is None else self._opened(entry, key, scope)
        return replace(self._opened(entry, key, scope), first=True)

    def lock_first(self, address: str, password: str) -> bool:
        """Put a key that no password opens yet under one that `log_in` has found right.

        Nothing but that opens it from then on. Says whether it was done: False when it had been
        done before, or another password been set meanwhile.
        """
        entry = self._keys.database.person(address)
        return entry is not None and self._keys.lock_provisional(entry, password)

    def _opened(self, entry: PersonEntry, key: DataKey, scope: Scope) -> Opened:
        vault = entry.vault.owner.vault
        if scope is not Scope.MAIL:
            derived = DataKey(scope_key(key, Scope.DAV)) if scope is Scope.DAV else None
            key.wipe()
            return Opened(vault, derived)
        private = private_key(key)
        former = []
        for old in entry.former:
            if old.handed_over is not None:
                try:
                    content = unseal(private, Purpose.FORMER_KEY, vault, old.handed_over)
                except SealError:
                    continue  # it was handed to a vault that has been replaced since
                former.append((old.owner.vault, DataKey(content)))
        return Opened(vault, key, tuple(former))

    # Deliveries

    def recipient(self, address: str, token: str | None = None) -> RecipientEntry:
        """Return the vault for a person's new mail, a new one at first; `token`: the canary's."""
        # For each delivery: not all is read that a login needs.
        return self._keys.database.recipient(address) or self._keys.entry(address, token).vault

    def adopt(self, address: str, key: DataKey, token: str | None = None) -> bool:
        """Take over a key that lies in a file; say whether the file may go now.

        The canary's stays (`token`): the release before needs it to check itself.
        """
        owner = Owner(person_id(address), person_id(address))
        public = private_key(key).public
        with self._keys.database.writing():
            entry = self._keys.database.person(address)
            if entry is None:
                self._keys.add_first(address, owner, key, token)
                self._keys.database.note_adopted(owner)
                return False
        same = [v for v in (entry.vault, *entry.former) if v.owner == owner]
        if not same or same[0].public_key != public:
            raise AccountError(f"the key file of {address} is not the key of the vault")
        safe = entry.adopted is not None and time.time() - entry.adopted >= ADOPTION_SECONDS
        return safe and token is None and WrapKind.PASSWORD in same[0].wraps

    def moved(self, address: str, vault: str) -> bool:
        """Destroy the keys of a former vault, whose mail has been moved into the present one."""
        gone = self._keys.database.destroy_former(person_id(address), vault)
        self._keys.database.forget_log()
        return gone


def _app_of(entry: PersonEntry | None, password: str) -> AppEntry | None:
    """Return the app password that somebody typed, going by its id, so that one wrap is tried."""
    app = read_app_password(password)
    if entry is None or app is None:
        return None
    return next((known for known in entry.apps if known.id == app.id), None)
