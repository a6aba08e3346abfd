"""The selected folder as one session sees it: sequence numbers, and what it was not told yet.

Sequence numbers only change when the client is told so, and it must not be told of expunged
messages while it may still use old numbers (RFC 3501 7.4.1). So what vanished waits in
`_vanished` until an answer may carry it; until then its number stays taken.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from postmaster.imap import wire
from postmaster.imap.sequence import SequenceSet, format_sequence_set
from postmaster.storage.interface import Changes, Folder, Message, Snapshot


class View:
    """Numbers, UIDs and news of one selected folder."""

    def __init__(self, snapshot: Snapshot, *, read_only: bool) -> None:
        self.folder: Folder = snapshot.folder
        self.read_only = read_only
        self.modseq = snapshot.modseq
        self.flags = set(snapshot.flags)  # that the client was told of
        self.condstore = False  # whether the client is told of modseqs (RFC 7162)
        self.qresync = False  # whether it is told by UID of what vanishes
        self.rev2 = False  # whether it speaks IMAP4rev2, in which nothing is recent (RFC 9051 E)
        self.highest_modseq = snapshot.highest_modseq  # of all that the client was told
        self.saved: Sequence[int] = ()  # UIDs, the result of a search (RFC 5182)
        self._uids = list(snapshot.uids)
        self._recent = {uid for uid in self._uids if uid >= snapshot.first_recent}
        self._vanished: set[int] = set()

    @property
    def exists(self) -> int:
        """How many messages the client believes in."""
        return len(self._uids)

    @property
    def recent(self) -> int:
        """How many of them are recent in this session."""
        return len(self._recent)

    @property
    def has_vanished(self) -> bool:
        """Say whether messages are gone that the client still counts."""
        return bool(self._vanished)

    @property
    def uids(self) -> Sequence[int]:
        """The UIDs in order of sequence number, which starts at 1."""
        return self._uids

    def number(self, uid: int) -> int | None:
        """Return a message's sequence number, None when the client does not know of it."""
        index = bisect_left(self._uids, uid)
        known = index < len(self._uids) and self._uids[index] == uid
        return index + 1 if known else None

    def select(self, chosen: SequenceSet, *, by_uid: bool) -> list[int]:
        """Return the UIDs that a sequence set means. ValueError for a number beyond the last."""
        if chosen.saved:
            return [uid for uid in self.saved if self.number(uid) is not None]
        if by_uid:
            return chosen.select(self._uids)
        if any(high > len(self._uids) or low < 1 for low, high in chosen.resolved(self.exists)):
            raise ValueError("there is no message of that number")
        numbers = chosen.select(range(1, len(self._uids) + 1))
        return [self._uids[number - 1] for number in numbers]

    def flags_of(self, message: Message) -> frozenset[str]:
        """Return a message's flags with \\Recent where the client is told of it."""
        told = not self.rev2 and message.uid in self._recent
        return message.flags | {"\\Recent"} if told else message.flags

    def is_recent(self, uid: int) -> bool:
        """Say whether this session was the first to see a message."""
        return uid in self._recent

    def apply(self, changes: Changes, *, expunge: bool) -> list[bytes]:
        """Take in what happened; return the untagged responses that tell the client.

        Without `expunge`, what vanished is kept for a later call.
        """
        self.modseq = max(self.modseq, changes.modseq)
        vanished = set(changes.vanished)
        self._vanished |= {uid for uid in vanished if self.number(uid) is not None}
        responses = self._expunge() if expunge else []
        self.tell(changes.highest_modseq)
        last = self._uids[-1] if self._uids else 0
        changed: list[Message] = []
        arrived = 0
        for message in changes.changed:
            if message.uid > last:
                self._uids.append(message.uid)
                if message.uid >= changes.first_recent:
                    self._recent.add(message.uid)
                arrived += 1
            elif self.number(message.uid) is not None:
                changed.append(message)
        if arrived:
            responses.append(b"* %d EXISTS" % self.exists)
            if not self.rev2:
                responses.append(b"* %d RECENT" % self.recent)
        return responses + self.flag_responses(changed)

    def tell(self, modseq: int) -> None:
        """Note that the client is told of a change.

        While it does not know what is gone, it must not be given a point that lies after that: it
        would never ask for it, if it had to come back (RFC 7162 3.2.5).
        """
        if not self._vanished:
            self.highest_modseq = max(self.highest_modseq, modseq)

    def flag_responses(self, messages: Iterable[Message]) -> list[bytes]:
        """Return a FETCH response with the flags of each message, FLAGS before a new keyword."""
        messages = list(messages)
        known = frozenset().union(*(message.flags for message in messages))
        responses = self.announce(known)
        for message in messages:
            items = b"UID %d FLAGS %b" % (message.uid, wire.flags(self.flags_of(message)))
            if self.condstore:
                items += b" MODSEQ (%d)" % message.modseq
            responses.append(b"* %d FETCH (%b)" % (self.number(message.uid) or 0, items))
        return responses

    def modseq_responses(self, messages: Iterable[Message]) -> list[bytes]:
        """Return a FETCH response with the modseq of each message (RFC 7162 3.1.3)."""
        return [
            b"* %d FETCH (UID %d MODSEQ (%d))"
            % (self.number(message.uid) or 0, message.uid, message.modseq)
            for message in messages
        ]

    def announce(self, flags: frozenset[str]) -> list[bytes]:
        """Return the responses that introduce flags which the client was not told of."""
        if flags <= self.flags:
            return []
        self.flags |= flags
        return [b"* FLAGS " + wire.flags(frozenset(self.flags))]

    def forget(self, uids: Iterable[int]) -> None:
        """Note that messages are gone, to be told with the next `apply` that may."""
        self._vanished |= {uid for uid in uids if self.number(uid) is not None}

    def _expunge(self) -> list[bytes]:
        if self.qresync and self._vanished:
            gone = format_sequence_set(sorted(self._vanished))
            self._uids = [uid for uid in self._uids if uid not in self._vanished]
            self._recent -= self._vanished
            self._vanished = set()
            return [b"* VANISHED " + gone.encode()]
        responses = []
        # From the end, so that the numbers still to come keep their meaning.
        for uid in sorted(self._vanished, reverse=True):
            number = self.number(uid)
            if number is not None:
                del self._uids[number - 1]
                responses.append(b"* %d EXPUNGE" % number)
        self._recent -= self._vanished
        self._vanished = set()
        return responses
