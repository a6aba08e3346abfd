"""A PKCS #11 token (smart card, HSM) that opens a key set in the place of a passphrase.

The password of the private files is random then, and stands in keys.json encrypted to an RSA key
that never leaves the token (RSAES-OAEP, RFC 8017, 7.1). The token does not sign by itself: there
is hardly one that knows ML-DSA-65.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal
from urllib.parse import unquote

import pkcs11
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA1
from pydantic import BaseModel, ConfigDict, Field

from tools.keys.errors import KeysError

_EXAMPLE = "pkcs11:token=LABEL;object=KEY?module-path=/usr/lib/…/MODULE.so"
_PASSWORD_BYTES = 32
# The only hash that all tokens know for it (SoftHSM 2.6 knows no other). OAEP does not need one
# without collisions.
_OAEP = (pkcs11.Mechanism.SHA_1, pkcs11.MGF.SHA1, None)
# A token's label has 32 bytes (PKCS #11 v2.40, CK_TOKEN_INFO), a key's may be longer.
Name = Annotated[str, Field(min_length=1, max_length=255)]


class TokenKey(BaseModel):
    """An RSA key pair on a token: the module that reaches it, and the labels of token and key."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    module: Annotated[str, Field(pattern=r"^/.", max_length=4096)]
    token: Name
    object: Name

    @property
    def asks(self) -> str:
        """What somebody has to type."""
        return f"PIN of the token {self.token}"


class TokenLock(TokenKey):
    """How a token opens the files: `wrapped` is their password, encrypted, in hexadecimal."""

    kdf: Literal["pkcs11"]
    wrapped: Annotated[str, Field(pattern=r"^[0-9a-f]{256,2048}$")]

    def password(self, pin: bytes) -> bytes:
        """The password of the private key files: 64 hexadecimal digits.

        Raises KeysError when the token is not there, or does not open it.
        """
        with _private_key(self, pin) as key:
            found = key.decrypt(
                bytes.fromhex(self.wrapped),
                mechanism=pkcs11.Mechanism.RSA_PKCS_OAEP,
                mechanism_param=_OAEP,
            )
        # An iterator is what it gives for an iterator.
        assert isinstance(found, bytes)
        return found.hex().encode()


def parse_uri(uri: str) -> TokenKey:
    """A key by its PKCS #11 URI (RFC 7512); KeysError when it names too little, or a PIN."""
    scheme, _, rest = uri.partition(":")
    path, _, query = rest.partition("?")
    pairs = (part.partition("=") for part in (*path.split(";"), *query.split("&")))
    found = {name: unquote(value) for name, _, value in pairs}
    if any(name.startswith("pin-") for name in found):
        raise KeysError(
            "the PIN is in the PKCS #11 URI, where other programs can see it",
            "Leave it away: it is asked for, or name a file with --passphrase-file.",
        )
    try:
        if scheme != "pkcs11":
            raise ValueError
        names = {"module": "module-path", "token": "token", "object": "object"}
        return TokenKey.model_validate({key: found.get(name) for key, name in names.items()})
    except ValueError:
        raise KeysError(f"{uri} is not the whole address of a key", f"Give: {_EXAMPLE}") from None


def lock_to(key: TokenKey, pin: bytes) -> TokenLock:
    """A new password that only this key opens, which is tried out; KeysError when it does not."""
    password = secrets.token_bytes(_PASSWORD_BYTES)
    with _private_key(key, pin) as found:
        modulus, exponent = (
            int.from_bytes(found[name], "big")
            for name in (pkcs11.Attribute.MODULUS, pkcs11.Attribute.PUBLIC_EXPONENT)
        )
    public = RSAPublicNumbers(exponent, modulus).public_key()
    wrapped = public.encrypt(password, OAEP(MGF1(SHA1()), SHA1(), None))  # noqa: S303 - see _OAEP
    lock = TokenLock(**key.model_dump(), kdf="pkcs11", wrapped=wrapped.hex())
    if lock.password(pin) != password.hex().encode():
        raise KeysError(f"the token {key.token} does not decrypt what was encrypted to its key")
    return lock


@contextmanager
def _private_key(place: TokenKey, pin: bytes) -> Iterator[pkcs11.DecryptMixin]:
    """The key, with the token open meanwhile; what the token refuses, as errors of ours."""
    where = f"the key {place.object} on the token {place.token}"
    try:
        token = pkcs11.lib(place.module).get_token(token_label=place.token)
        with token.open(user_pin=pin.decode()) as session:
            key = session.get_key(
                object_class=pkcs11.ObjectClass.PRIVATE_KEY,
                key_type=pkcs11.KeyType.RSA,
                label=place.object,
            )
            # The library gives a key what the token says that it may be used for.
            if not isinstance(key, pkcs11.DecryptMixin):
                raise KeysError(f"{where} may not decrypt", "Choose another, or make one that may.")
            yield key
    except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange):
        raise KeysError(
            f"the PIN of the token {place.token} is wrong",
            "Most tokens lock themselves after a few wrong ones.",
        ) from None
    except pkcs11.PinLocked:
        raise KeysError(f"the token {place.token} is locked: too many wrong PINs") from None
    except pkcs11.PKCS11Error as error:
        raise KeysError(
            f"{where} does not open the keys: {error or type(error).__name__}",
            f"Is it plugged in, and {place.module} the module for it?",
        ) from None
