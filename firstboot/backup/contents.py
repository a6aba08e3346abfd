"""What a backup holds, and what it leaves out: the one list of all that lasts below /state.

The order is that of capture, and it matters. A message goes from the queue to the sealed mail of
its person, and from there into the vault; a former vault's mail goes into the present one. What is
upstream is captured before what is downstream, so a message that moves meanwhile is captured at
least once, and twice at the worst: a delivery is known by its id, sealed mail by its name. All of
it happens while nobody writes to the directory, so that each vault's keys are the captured ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

# files: all below, as they are. databases: each SQLite database below, with its log.
How: TypeAlias = Literal["files", "databases"]


@dataclass(frozen=True)
class Item:
    """A file or a folder (a `/` at the end) below /state that a backup holds."""

    path: str
    how: How
    why: str


@dataclass(frozen=True)
class LeftOut:
    """A file or a folder below /state that a backup does not hold, since it is made anew."""

    path: str
    why: str


DIRECTORY = "mail/directory/database/directory.db"

BACKED_UP: tuple[Item, ...] = (
    Item("format", "files", "says which releases can use the rest"),
    Item("settings.yaml", "files", "all that the owner decided"),
    Item("audit.jsonl", "files", "who changed what"),
    Item("api-tokens.json", "files", "programs that use the API go on"),
    Item("ssh/", "files", "by which the owner's SSH client knows the machine"),
    Item("backup/password", "files", "opens the repositories; later backups go on in them"),
    Item("backup/recovery.json", "files", "which recovery kit is the present one"),
    Item("backup/credentials/", "files", "what it takes to get in at the targets"),
    Item("notices/", "files", "mail to the owner that is not sent yet"),
    Item("mail/secrets/", "files", "among them the key of the directory's database"),
    Item("mail/tls/", "files", "certificates, their keys, the account at the authority"),
    Item("mail/dkim/", "files", "keys whose public halves stand in the DNS"),
    Item("mail/mta/spool/", "files", "mail that was accepted and not delivered yet"),
    Item("mail/mailstore/spool/", "files", "sealed mail"),
    Item("mail/mailstore/keys/", "files", "keys of vaults from before wraps"),
    Item("mail/mailstore/vaults/", "databases", "everybody's mail, calendars and contacts"),
    Item("mail/learned/data/", "files", "what people have taught the spam filter"),
    Item(DIRECTORY, "databases", "the wraps, without which no vault opens"),
)

LEFT_OUT: tuple[LeftOut, ...] = (
    LeftOut("disk.json", "about this disk; another one has another recovery key"),
    LeftOut("setup/draft.json", "answers of a setup that is not finished"),
    LeftOut("updates/", "about the slots of this disk"),
    LeftOut("loading", "a mark that is gone when a start is over"),
    LeftOut("machine-id", "another machine is another one"),
    LeftOut("backup/history.json", "about this machine's attempts; another one begins anew"),
    LeftOut("backup/schedule.json", "drawn anew"),
    LeftOut("backup/manifest.json", "each backup has its own"),
    LeftOut("backup/hashes.json", "computed anew"),
    LeftOut("backup/cache/", "fetched from the repository again"),
    LeftOut("backup/temporary/", "there only while a backup is made"),
    LeftOut("backup/staging/", "there only while a backup is made"),
    LeftOut("backup/scratch/", "there only while a sample is compared"),
    LeftOut("mail/directory/alarms/", "about what was sent from this machine; told by mail"),
    LeftOut("mail/sts/policies/", "what other domains publish; fetched again"),
    LeftOut("restore/", "a restore on its way"),
    LeftOut("mail/mailstore/restored/", "out of a backup, until a login"),
    LeftOut("docker/", "images and containers are in the slot"),
    LeftOut("containerd/", "images and containers are in the slot"),
    LeftOut("journal/", "the log of this machine"),
    LeftOut("systemd/", "random seed and last known time"),
)

# Below the queue: what Postfix's processes talk through, and who runs.
NOT_MAIL = ("mail/mta/spool/pid/", "mail/mta/spool/private/", "mail/mta/spool/public/")
# Files that change in place while they are read, so that two readings need not be the same.
UNSTEADY = ("mail/mta/spool/", "audit.jsonl")


def is_half_written(name: str) -> bool:
    """Whether a file's name says that nobody reads it (docs/state.md)."""
    return name.startswith((".", "temp-")) or name.endswith((".new", ".delta"))


def covers(path: str, name: str) -> bool:
    """Whether the path of an item stands for a file, or for a row of docs/state.md."""
    logs = tuple(f"{path}-{log}" for log in ("wal", "shm", "LOG"))
    return name == path or name in logs or (path.endswith("/") and name.startswith(path))
