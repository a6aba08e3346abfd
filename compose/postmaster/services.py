"""What every session of the mail store shares, whatever protocol it speaks."""

from __future__ import annotations

from dataclasses import dataclass, field

from postmaster.learning import Teacher
from postmaster.memory import MemoryBudget
from postmaster.query import DirectoryQueries
from postmaster.serving import ConnectionLimits
from postmaster.storage.interface import MailStore

SESSIONS_PER_PERSON = 64


@dataclass(frozen=True)
class Services:
    """The store, who is who, and the limits that hold over all sessions."""

    store: MailStore
    directory: DirectoryQueries
    message_size_limit: int  # bytes
    teacher: Teacher
    memory: MemoryBudget = field(default_factory=MemoryBudget)
    people: ConnectionLimits = field(
        default_factory=lambda: ConnectionLimits(per_address=SESSIONS_PER_PERSON)
    )  # sessions that are logged in, by person
