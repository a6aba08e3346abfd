"""What the questions of setup depend on, which several features know."""

from __future__ import annotations

import contextlib
from typing import get_args

from firstboot.base.errors import MailsteadError
from firstboot.base.questions.model import Facts
from firstboot.base.sections import Disk
from firstboot.disk.places import Places
from firstboot.disk.protect import require_possible
from firstboot.system.networkd import wired_links


def read_facts() -> Facts:
    """How this machine can protect its disk, and which cables it has."""
    possible = []
    for protection in get_args(Disk.model_fields["protection"].annotation):
        with contextlib.suppress(MailsteadError):
            require_possible(protection, Places())
            possible.append(protection)
    return Facts(protections=tuple(possible), interfaces=wired_links())
