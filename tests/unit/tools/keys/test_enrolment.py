"""The files that teach a firmware our key, read again by hand as a firmware does.

Numbers are those of the UEFI specification 2.10: 8.2.6 for authenticated variables, 8.3 for
EFI_TIME, 32.2 for WIN_CERTIFICATE, 32.4.1 for EFI_SIGNATURE_LIST; DER is X.690.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tests.unit.tools.keys.conftest import NOW, PASSPHRASE, read_certificate
from tools.keys.enrolment import enrolment_files
from tools.keys.folder import make_folder
from tools.keys.keyset import opened_keys

GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
DATABASE = "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
VENDORS = {"PK": GLOBAL, "KEK": GLOBAL, "db": DATABASE}
PKCS7 = "4aafd29d-68df-49ee-8aa9-347d375665a7"
X509 = "a5c059a1-94e4-4aa7-87b5-ab155c2bf072"
# Non-volatile, for boot and run time, authenticated by time.
ATTRIBUTES = 0x01 | 0x02 | 0x04 | 0x20
# Tags, and object identifiers as they are encoded.
INTEGER, OCTETS, IDENTIFIER, SEQUENCE, SET, FIRST = 0x02, 0x04, 0x06, 0x30, 0x31, 0xA0
DATA = bytes.fromhex("2a864886f70d010701")
SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
SHA256 = bytes.fromhex("608648016503040201")


@dataclass(frozen=True)
class Variable:
    """What a .auth file consists of."""

    name: str
    time: bytes
    signed_data: bytes
    content: bytes

    @property
    def message(self) -> bytes:
        """What has to be signed (8.2.6): the name without its end, and so on."""
        vendor = uuid.UUID(VENDORS[self.name]).bytes_le
        name = self.name.encode("utf-16-le")
        return name + vendor + struct.pack("<I", ATTRIBUTES) + self.time + self.content


def read_variable(name: str, data: bytes) -> Variable:
    length, revision, kind = struct.unpack_from("<IHH", data, 16)
    assert (revision, kind) == (0x0200, 0x0EF1)
    assert str(uuid.UUID(bytes_le=data[24:40])) == PKCS7
    return Variable(name, data[:16], data[40 : 16 + length], data[16 + length :])


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each DER element, one after the other."""
    while data:
        tag, length, start = data[0], data[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(data[2:start], "big")
        assert start + length <= len(data)
        yield tag, data[start : start + length]
        data = data[start + length :]


def read_signature(signed_data: bytes) -> tuple[x509.Certificate, bytes]:
    """The one certificate and the one signature in a SignedData (RFC 2315, 9.1)."""
    ((tag, body),) = elements(signed_data)
    assert tag == SEQUENCE
    version, digests, content, certificates, signers = elements(body)
    assert version == (INTEGER, b"\x01")
    assert digests[0] == SET
    assert SHA256 in digests[1]
    # Nothing but the type: what is signed stands elsewhere.
    assert content == (SEQUENCE, bytes([IDENTIFIER, len(DATA)]) + DATA)
    assert certificates[0] == FIRST
    ((_, signer),) = elements(signers[1])
    _, issuer, digest, algorithm, signature = elements(signer)
    certificate = x509.load_der_x509_certificate(certificates[1])
    assert list(elements(issuer[1]))[1] == (INTEGER, _number(certificate.serial_number))
    assert SHA256 in digest[1]
    # No signed attributes stand before the algorithm, so the signature is over the content itself.
    assert algorithm[0] == SEQUENCE
    assert signature[0] == OCTETS
    return certificate, signature[1]


def _number(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def verify(variable: Variable, message: bytes) -> None:
    """Raise InvalidSignature when `message` is not what the variable's signature is over."""
    certificate, signature = read_signature(variable.signed_data)
    key = certificate.public_key()
    assert isinstance(key, RSAPublicKey)
    key.verify(signature, message, PKCS1v15(), hashes.SHA256())


@pytest.fixture
def variables(plain: Path) -> dict[str, Variable]:
    with opened_keys(plain, None) as keys:
        files = enrolment_files(keys)
    assert set(files) == {f"{name}.auth" for name in VENDORS}
    return {name: read_variable(name, files[f"{name}.auth"]) for name in VENDORS}


@pytest.mark.parametrize("name", VENDORS)
def test_the_time_is_that_of_the_certificate(name: str, variables: dict[str, Variable]) -> None:
    year, month, day, hour, minute, second, pad1, nanosecond, zone, daylight, pad2 = struct.unpack(
        "<HBBBBBBIhBB", variables[name].time
    )
    assert (year, month, day) == (NOW.year, NOW.month, NOW.day)
    assert (hour, minute, second) == (NOW.hour, NOW.minute, NOW.second)
    # Whatever else there is has to be zero.
    assert (pad1, nanosecond, zone, daylight, pad2) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("name", VENDORS)
def test_the_content_is_a_list_of_the_one_certificate(
    name: str, variables: dict[str, Variable], plain: Path
) -> None:
    content = variables[name].content
    kind, (size, header, each) = content[:16], struct.unpack_from("<III", content, 16)
    assert str(uuid.UUID(bytes_le=kind)) == X509
    assert size == len(content)
    assert header == 0
    assert each == len(content) - 28
    # After the GUID of its owner.
    certificate = x509.load_der_x509_certificate(content[28 + 16 :])
    assert certificate == read_certificate(plain / "secure-boot.crt")


@pytest.mark.parametrize("name", VENDORS)
def test_the_signature_is_right(name: str, variables: dict[str, Variable], plain: Path) -> None:
    variable = variables[name]
    verify(variable, variable.message)
    certificate, _ = read_signature(variable.signed_data)
    assert certificate == read_certificate(plain / "secure-boot.crt")


@pytest.mark.parametrize("name", VENDORS)
def test_the_signature_is_for_this_variable_alone(
    name: str, variables: dict[str, Variable]
) -> None:
    for other in VENDORS.keys() - {name}:
        with pytest.raises(InvalidSignature):
            verify(variables[name], variables[other].message)
    changed = bytearray(variables[name].message)
    changed[-1] ^= 1
    with pytest.raises(InvalidSignature):
        verify(variables[name], bytes(changed))


def test_the_signature_has_no_content_info_around_it(variables: dict[str, Variable]) -> None:
    for variable in variables.values():
        ((_, body),) = elements(variable.signed_data)
        assert next(elements(body)) == (INTEGER, b"\x01")


def test_openssl_verifies_it_too(variables: dict[str, Variable], tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl on this host")
    for variable in variables.values():
        # It wants the ContentInfo that firmware does not.
        wrapped = der(SEQUENCE, der(IDENTIFIER, SIGNED_DATA) + der(FIRST, variable.signed_data))
        signature, message, signer = (tmp_path / name for name in ("p7s", "message", "signer"))
        signature.write_bytes(wrapped)
        certificate, _ = read_signature(variable.signed_data)
        signer.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        for content, right in ((variable.message, True), (variable.message + b"x", False)):
            message.write_bytes(content)
            argv = ["openssl", "smime", "-verify", "-binary", "-noverify", "-inform", "DER"]
            argv += ["-in", str(signature), "-content", str(message), "-out", os.devnull]
            argv += ["-nointern", "-certfile", str(signer)]
            done = subprocess.run(argv, env={"PATH": os.defpath}, check=False, capture_output=True)
            assert (done.returncode == 0) is right, done.stderr


def der(tag: int, content: bytes) -> bytes:
    """An element with its length in two bytes, or in one where that is enough."""
    size = len(content)
    length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def test_the_same_keys_give_the_same_bytes(plain: Path) -> None:
    """An image that is built twice is the same twice."""
    with opened_keys(plain, None) as keys:
        assert enrolment_files(keys) == enrolment_files(keys)


def test_encrypted_keys_do_once_they_are_open(protected: Path) -> None:
    with opened_keys(protected, PASSPHRASE) as keys:
        files = enrolment_files(keys)
    for name in VENDORS:
        variable = read_variable(name, files[f"{name}.auth"])
        verify(variable, variable.message)


def test_certificates_of_other_keys_are_others(tmp_path: Path, plain: Path) -> None:
    other = make_folder(tmp_path / "other", "test", None, now=NOW).path
    with opened_keys(plain, None) as keys, opened_keys(other, None) as others:
        ours, theirs = enrolment_files(keys), enrolment_files(others)
    assert all(ours[name] != theirs[name] for name in ours)
    variable = read_variable("db", theirs["db.auth"])
    with pytest.raises(InvalidSignature):
        verify(variable, read_variable("db", ours["db.auth"]).message)
