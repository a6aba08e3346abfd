"""A seed that asks for a restore: instead of settings, where backups are and what opens them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from firstboot.base.backupplaces import repository_problem
from firstboot.base.codes import read_recovery_code
from firstboot.base.errors import SettingsError
from firstboot.base.located import read_located
from firstboot.base.problems import OWN_ERROR, add_problems, got
from firstboot.base.rules import check_network
from firstboot.base.sections import Network

KEY = "restore"
LATEST = "latest"
_MOST_CHARACTERS = 64 * 1024
_HINT = "docs/backup.md tells what a restore by a seed needs; the code is on the recovery kit."


def _fail(sentence: str) -> PydanticCustomError:
    return PydanticCustomError(OWN_ERROR, "{text}", {"text": sentence})


def _repository(value: Any) -> str:
    if not isinstance(value, str):
        raise _fail(f"expected a place such as sftp:user@host:/folder, got {got(value)}")
    if problem := repository_problem(value):
        raise _fail(f"{problem}, got {got(value)}")
    return value


# The two that follow are secrets: what stands there is never part of a message.


def _code(value: Any) -> str:
    code = read_recovery_code(value) if isinstance(value, str) else None
    if code is None:
        raise _fail("expected the recovery code of the kit, got something else or one with a slip")
    return code


def _credentials(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MOST_CHARACTERS:
        raise _fail("expected text (a block begins with |)")
    return value


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class RestoreWish(_Model):
    """What is restored: `credentials` in the form of docs/backup.md, `snapshot` as in the CLI."""

    repository: Annotated[str, BeforeValidator(_repository)] = Field(
        description="a place such as sftp:user@host:/folder"
    )
    code: Annotated[str, BeforeValidator(_code)] = Field(
        repr=False, description="the recovery code of the kit"
    )
    credentials: Annotated[str, BeforeValidator(_credentials)] = Field(
        "", repr=False, description="what it takes to get in there"
    )
    snapshot: str = Field(LATEST, description="latest, the beginning of an id, or a time")


class RestoreOrder(_Model):
    """The whole seed. `network` is for this machine, and counts instead of the backup's."""

    version: Literal[1] = Field(description="the version of this format, 1")
    restore: RestoreWish = Field(description="a mapping with the keys repository and code")
    network: Network | None = Field(None, description="a mapping with the key method")


def parse_restore(text: str, source: str) -> RestoreOrder | None:
    """The restore that a seed asks for; None when it has no key `restore`, so holds settings.

    Raises SettingsError as `parse_settings` does; no message contains code or credentials.
    """
    document = read_located(text)
    if not isinstance(document.value, dict) or KEY not in document.value:
        return None
    found: RestoreOrder | None = None
    try:
        found = RestoreOrder.model_validate(document.value)
    except ValidationError as error:
        add_problems(document, RestoreOrder, error)
    check_network(document)
    if found is None or document.problems:
        raise SettingsError(document.shown(source), _HINT)
    return found
