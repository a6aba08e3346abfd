"""All cryptography, a module a concept; nothing else of the package imports a cipher.

`keys`: data keys. `passwords`: Argon2id. `wraps`: a data key under a secret. `sealing`: mail for a
vault that is locked. `codes`: secrets for people to type. The formats are in docs/vault.md.
"""

from postmaster.crypto.keys import (
    DataKey,
    FileKeyStore,
    KeyStore,
    PersonId,
    cipher_pragmas,
    person_id,
)
from postmaster.crypto.passwords import (
    is_password_hash,
    same_token,
    verify_password,
)

__all__ = [
    "DataKey",
    "FileKeyStore",
    "KeyStore",
    "PersonId",
    "cipher_pragmas",
    "is_password_hash",
    "person_id",
    "same_token",
    "verify_password",
]
