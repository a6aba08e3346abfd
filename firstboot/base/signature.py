"""Whether a manifest may be believed: both signatures of one trusted key, or none of it is read.

How a signature is verified is handed in: the appliance asks its OpenSSL, the build host a library.
"""

from __future__ import annotations

from collections.abc import Callable

from firstboot.base.errors import ReleaseError
from firstboot.base.manifest import (
    Envelope,
    Manifest,
    ReleaseKey,
    Signature,
    decode_signature,
    parse_manifest,
)

# Public key (PEM), message, signature: whether it is right.
Verify = Callable[[str, bytes, bytes], bool]

_HINT = "It was changed on its way, or somebody else made it. Nothing was installed."


def open_envelope(
    envelope: Envelope, keys: tuple[ReleaseKey, ...], verify: Verify, source: str
) -> Manifest:
    """The manifest, if both signatures of at least one of `keys` are right.

    A release may have signatures of further keys, for machines that trust those. Raises
    ReleaseError, which names `source`, when no key is trusted or a signature is wrong; what
    `verify` raises comes through.
    """
    trusted = {key.id: key for key in keys}
    # The id only tells which key to try. A second entry for it would be tried in vain.
    offered = {signature.key: signature for signature in envelope.signatures}
    wrong = []
    for name in (name for name in offered if name in trusted):
        bad = _wrong_signatures(envelope, trusted[name], offered[name], verify)
        if not bad:
            return parse_manifest(envelope.manifest, source)
        wrong.append(f"the {' and the '.join(bad)} signature of key {name} is wrong")
    if wrong:
        raise ReleaseError(f"the manifest in {source} is refused: {'; '.join(wrong)}", _HINT)
    raise ReleaseError(
        f"the manifest in {source} is not signed by a key that this system trusts: "
        f"it has {_listed(offered)}, trusted is {_listed(trusted)}",
        "If the keys were rotated, install the release of the rotation first.",
    )


def _wrong_signatures(
    envelope: Envelope, key: ReleaseKey, signature: Signature, verify: Verify
) -> list[str]:
    """Names of the algorithms whose signature is not right."""
    checks = (
        ("Ed25519", key.ed25519, signature.ed25519),
        ("ML-DSA-65", key.ml_dsa_65, signature.ml_dsa_65),
    )
    return [
        name
        for name, public_key, text in checks
        if not verify(public_key, envelope.message, decode_signature(text))
    ]


def _listed(keys: dict[str, Signature] | dict[str, ReleaseKey]) -> str:
    return ", ".join(sorted(keys)) or "none"
