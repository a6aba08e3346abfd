"""The answers so far, in one file that survives a power cut and that several fronts share."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from firstboot.base.errors import MailsteadError
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.handover import Given, read_given
from firstboot.base.paths import Paths
from firstboot.base.questions.assemble import find_answers
from firstboot.base.questions.model import Answer, Answers

FORMAT = 1


class StaleDraftError(MailsteadError):
    """Somebody else has answered something since these answers were read."""

    exit_code = 13


@dataclass(frozen=True)
class Draft:
    """Answers by the keys of their questions.

    `revision` counts the writes. `done` are the steps that somebody has gone through, `insisted`
    what was typed last where there is a doubt: the same once more is taken. `given` comes from a
    seed and is not kept here.
    """

    revision: int = 0
    typed: Answers = field(default_factory=dict)
    done: tuple[str, ...] = ()
    insisted: Mapping[str, str] = field(default_factory=dict)
    given: Given = field(default_factory=Given)

    @property
    def answers(self) -> dict[str, Answer]:
        """What the seed says, and what was answered, which counts more."""
        return {**find_answers(self.given.values), **self.typed}

    def is_given(self, key: str) -> bool:
        """Whether an answer is the seed's own."""
        return key not in self.typed and key in find_answers(self.given.values)


def read_draft(paths: Paths) -> Draft:
    """The draft as it is now; an empty one where there is none, or none that can be read."""
    given = read_given(paths)
    try:
        content = json.loads(paths.draft.read_text(encoding="utf-8"))
        return replace(_parse(content), given=given)
    except FileNotFoundError:
        return Draft(given=given)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Typing the answers again is less trouble than a setup that cannot go on.
        return Draft(given=given)


def write_draft(paths: Paths, draft: Draft) -> Draft:
    """Keep a draft that was made from the present one; return it with its new revision.

    Raises StaleDraftError when what is there is not what it was made from.
    """
    make_directory(paths.draft.parent, mode=0o700)
    with _alone(paths):
        if read_draft(paths).revision != draft.revision:
            raise StaleDraftError(
                "the answers were changed elsewhere meanwhile",
                "Look at them once more; what you typed last was not taken.",
            )
        written = replace(draft, revision=draft.revision + 1)
        write_atomic(paths.draft, json.dumps(_content(written), indent=2) + "\n", mode=0o600)
    return written


def _content(draft: Draft) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "revision": draft.revision,
        "answers": dict(draft.typed),
        "done": draft.done,
        "insisted": dict(draft.insisted),
    }


def _parse(content: dict[str, Any]) -> Draft:
    if content["format"] != FORMAT:
        raise ValueError
    return Draft(
        revision=int(content["revision"]),
        typed={str(key): _answer(value) for key, value in content["answers"].items()},
        done=tuple(str(name) for name in content["done"]),
        insisted={str(key): str(text) for key, text in content["insisted"].items()},
    )


def _answer(value: Any) -> Answer:
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    if isinstance(value, bool | str):
        return value
    raise TypeError


@contextlib.contextmanager
def _alone(paths: Paths) -> Iterator[None]:
    """One writer at a time, in whatever process."""
    make_directory(paths.runtime)
    with (paths.runtime / "draft.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
