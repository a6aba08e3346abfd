"""keys.json: what a key set says about itself, and the file whose replacement changes it."""

from __future__ import annotations

import json
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from firstboot.base.manifest import ReleaseKey, Time
from tools.keys.errors import KeysError
from tools.keys.passphrase import Stretching
from tools.keys.release import ID_DIGITS
from tools.keys.token import TokenLock

FORMAT: Literal[1] = 1
Kind: TypeAlias = Literal["release", "test"]
KeyId = Annotated[str, Field(pattern=rf"^[0-9a-f]{{{ID_DIGITS}}}$")]


class Record(BaseModel):
    """`created` is RFC 3339; `stretching` tells how a passphrase, or a token, opens the
    private keys; None when they lie in clear.

    `signing` are the ids of the release pairs that sign: the own one, then during a rotation the
    former one. `trusted` are the public keys that a slot made with this set accepts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1]
    kind: Kind
    created: Time
    stretching: Annotated[Stretching | TokenLock, Field(discriminator="kdf")] | None
    signing: Annotated[tuple[KeyId, ...], Field(min_length=1, max_length=2)]
    trusted: Annotated[tuple[ReleaseKey, ...], Field(min_length=1)]

    @property
    def rotating(self) -> bool:
        return len(self.signing) > 1


def parse_record(text: str, source: str) -> Record:
    """Read keys.json; KeysError names `source` and what is wrong."""
    try:
        record = Record.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"]) or "it"
        raise KeysError(f"{source} cannot be read: {place}: {first['msg']}") from None
    if record.signing[0] not in {key.id for key in record.trusted}:
        raise KeysError(f"{source} does not trust its own release key {record.signing[0]}")
    return record


def dump_record(record: Record) -> str:
    """The text of keys.json."""
    return json.dumps(record.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"
