"""What a firmware in setup mode needs to trust our Secure Boot key: signed variables, as files.

systemd-boot writes them from loader/keys/auto on the ESP (systemd-boot(7)).
Layout from the UEFI specification 2.10: sections 8.2.6 (EFI_VARIABLE_AUTHENTICATION_2) and 32.4.1
(EFI_SIGNATURE_LIST). bootctl(1) can make them, too, but wraps the signature in a way (PKCS #7
ContentInfo) that firmware older than 2023 refuses.
"""

from __future__ import annotations

import datetime
import struct
import uuid
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import pkcs7

from tools.keys.keyset import SigningKeys

_GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
_DATABASE = uuid.UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
# The key that may sign everything is also the platform's: nobody else's is trusted.
VARIABLES = {"PK": _GLOBAL, "KEK": _GLOBAL, "db": _DATABASE}

_CERT_X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
_CERT_TYPE_PKCS7 = uuid.UUID("4aafd29d-68df-49ee-8aa9-347d375665a7")
_OWNER = uuid.UUID("f1f3f0a6-3c5d-4bd1-9b1e-7c2f0e6a9d54")
# NON_VOLATILE, BOOTSERVICE_ACCESS, RUNTIME_ACCESS, TIME_BASED_AUTHENTICATED_WRITE_ACCESS
_ATTRIBUTES = 0x27
_REVISION, _TYPE_EFI_GUID = 0x0200, 0x0EF1
_HEADER = struct.Struct("<IHH16s")


def enrolment_files(keys: SigningKeys) -> dict[str, bytes]:
    """The files for loader/keys/auto by their names."""
    certificate = x509.load_pem_x509_certificate(keys.secure_boot_certificate.read_bytes())
    key = _load_key(keys.secure_boot_key)
    content = _signature_list(certificate)
    time = _efi_time(certificate.not_valid_before_utc)
    files = {}
    for name, vendor in VARIABLES.items():
        attributes = struct.pack("<I", _ATTRIBUTES)
        message = name.encode("utf-16-le") + vendor.bytes_le + attributes + time + content
        signature = _signed_data(message, certificate, key)
        length = _HEADER.size + len(signature)
        header = _HEADER.pack(length, _REVISION, _TYPE_EFI_GUID, _CERT_TYPE_PKCS7.bytes_le)
        files[f"{name}.auth"] = time + header + signature + content
    return files


def _load_key(path: Path) -> RSAPrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    return key


def _signature_list(certificate: x509.Certificate) -> bytes:
    """One EFI_SIGNATURE_LIST with one certificate."""
    data = _OWNER.bytes_le + certificate.public_bytes(serialization.Encoding.DER)
    return _CERT_X509.bytes_le + struct.pack("<III", 28 + len(data), 0, len(data)) + data


def _efi_time(time: datetime.datetime) -> bytes:
    """EFI_TIME, of which authenticated variables use date and time of day only (8.2.6)."""
    day, clock = (time.year, time.month, time.day), (time.hour, time.minute, time.second)
    return struct.pack("<HBBBBBxIhBx", *day, *clock, 0, 0, 0)


def _signed_data(message: bytes, certificate: x509.Certificate, key: RSAPrivateKey) -> bytes:
    """The detached PKCS #7 SignedData, without the ContentInfo around it."""
    builder = pkcs7.PKCS7SignatureBuilder().set_data(message)
    wrapped = builder.add_signer(certificate, key, hashes.SHA256()).sign(
        serialization.Encoding.DER,
        [
            pkcs7.PKCS7Options.Binary,
            pkcs7.PKCS7Options.DetachedSignature,
            pkcs7.PKCS7Options.NoAttributes,
        ],
    )
    # SEQUENCE { OBJECT IDENTIFIER signedData, [0] { SignedData } }, lengths in two bytes (X.690).
    outer = _content(wrapped)
    identifier = 2 + outer[1]
    return _content(outer[identifier:])


def _content(element: bytes) -> bytes:
    """What is in a DER element that is longer than 127 bytes."""
    return element[2 + (element[1] & 0x7F) :]
