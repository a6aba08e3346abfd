"""THREAD=REFERENCES (RFC 5256 4): messages as trees of who answers whom.

Nodes are numbers; one that stands for a message that is not there is a dummy. Nothing here calls
itself, since a thread may be as deep as there are messages.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from postmaster.imap.sort import sent_or_arrived
from postmaster.message.order import Heading, base_subject, message_ids
from postmaster.storage.interface import Message

# A message that names more ancestors is threaded by the last ones.
MAX_ANCESTORS = 100
# Dummies a message, on average; then only the last reference of each makes one.
MAX_DUMMIES = 3
# Ancestors that are looked at to see that a link makes no circle; then it is not made.
MAX_STEPS = 1000

NONE = -1


@dataclass(frozen=True)
class Entry:
    """What threading looks at in a message."""

    uid: int
    sent: int  # seconds since 1970
    subject: str  # the base subject
    is_reply: bool  # whether the subject is of a reply or forward
    id: int | None  # the hash of its message id: nobody else can make one that is equal
    references: Sequence[int]  # the same of its ancestors, the oldest first


def thread_entry(message: Message, heading: Heading) -> Entry:
    """Return the entry of a message; its heading has references."""
    references = message_ids(heading.references)[-MAX_ANCESTORS:]
    if not references:
        references = message_ids(heading.in_reply_to)[:1]
    own = message_ids(heading.message_id)
    subject, is_reply = base_subject(heading.subject)
    sent = sent_or_arrived(message, heading)
    return Entry(
        message.uid,
        sent,
        subject,
        is_reply,
        hash(own[0]) if own else None,
        array("q", map(hash, references)),  # 800 bytes at most, where the ids may be 16 KiB
    )


@dataclass(frozen=True)
class Forest:
    """Threads: the first node of each, the children of each node, and whose UID a node is."""

    roots: Sequence[int]
    children: Sequence[Sequence[int]]
    uids: Sequence[int]  # NONE for a dummy


def thread_by_references(entries: Iterable[Entry]) -> Forest:
    """Put messages, in order of UID, into threads."""
    linking = _Linking()
    for number, entry in enumerate(entries):
        linking.add(entry, dummies=MAX_DUMMIES * (number + MAX_ANCESTORS))
    return _Gathering(linking).forest()


def thread_line(forest: Forest, number: Callable[[int], int]) -> bytes:
    """Return the THREAD response; `number` gives what it calls the message of a UID."""
    return b"* THREAD" + (b" " if forest.roots else b"") + b"".join(_pieces(forest, number))


def _pieces(forest: Forest, number: Callable[[int], int]) -> Iterator[bytes]:
    for root in forest.roots:
        yield b"("
        # What is still to be written, the next last: nodes and texts.
        waiting: list[int | bytes] = [b")", root]
        while waiting:
            node = waiting.pop()
            if isinstance(node, bytes):
                yield node
                continue
            children = forest.children[node]
            is_dummy = forest.uids[node] == NONE
            if not is_dummy:
                yield b"%d" % number(forest.uids[node])
            if len(children) > 1:
                for child in reversed(children):
                    waiting += [b")", child, b"("]
            else:
                waiting += children
            if children and not is_dummy:
                waiting.append(b" ")


class _Linking:
    """Step 1: each message below the last of its references, and these below each other."""

    def __init__(self) -> None:
        self.entries: list[Entry | None] = []  # by node
        self.parents: list[int] = []
        self._has_children: list[bool] = []
        self._by_id: dict[int, int] = {}
        self._dummies = 0

    def add(self, entry: Entry, *, dummies: int) -> None:
        """Take in a message; `dummies` is how many nodes without one there may be by now."""
        previous = NONE
        ancestors = entry.references
        if self._dummies > dummies:
            ancestors = ancestors[-1:]
        for reference in ancestors:
            node = self._by_id.get(reference, NONE)
            if node == NONE:
                node = self._new(None, reference)
                self._dummies += 1
            if previous != NONE and self.parents[node] == NONE:
                self._link(previous, node)
            previous = node
        own = self._own(entry)
        self.parents[own] = NONE  # a truncated list of references may have given it another
        if previous != NONE:
            self._link(previous, own)

    def _own(self, entry: Entry) -> int:
        """Return the node of a message: the dummy of its id, else a new one."""
        node = NONE if entry.id is None else self._by_id.get(entry.id, NONE)
        if node == NONE:
            return self._new(entry, entry.id)
        if self.entries[node] is not None:  # two with one id are two messages
            return self._new(entry, None)
        self.entries[node] = entry
        self._dummies -= 1
        return node

    def _new(self, entry: Entry | None, identifier: int | None) -> int:
        node = len(self.entries)
        self.entries.append(entry)
        self.parents.append(NONE)
        self._has_children.append(False)
        if identifier is not None:
            self._by_id[identifier] = node
        return node

    def _link(self, parent: int, child: int) -> None:
        """Make one node the child of another, unless that would make a circle."""
        if parent == child or (self._has_children[child] and self._is_below(parent, child)):
            return
        self.parents[child] = parent
        self._has_children[parent] = True

    def _is_below(self, node: int, ancestor: int) -> bool:
        for _ in range(MAX_STEPS):
            if node == NONE:
                return False
            if node == ancestor:
                return True
            node = self.parents[node]
        return True


class _Gathering:
    """Steps 2 to 6: without needless dummies, those of one subject together, by date."""

    def __init__(self, linking: _Linking) -> None:
        self._entries = linking.entries
        self._children: list[list[int]] = [[] for _ in linking.entries]
        roots: list[int] = []
        for node, parent in enumerate(linking.parents):
            (roots if parent == NONE else self._children[parent]).append(node)
        self._roots = self._prune(roots)

    def forest(self) -> Forest:
        """Return the threads in their order."""
        self._roots.sort(key=self._order)
        self._gather()
        self._roots.sort(key=self._order)
        uids = [entry.uid if entry else NONE for entry in self._entries]
        return Forest(self._roots, self._children, uids)

    def _order(self, node: int) -> tuple[int, int]:
        """By date, then by number of the message: a dummy is its first child."""
        entry = self._entries[self._first(node)]
        return (entry.sent, entry.uid) if entry else (0, 0)

    def _first(self, node: int) -> int:
        """Return the node itself, the first child of a dummy."""
        return node if self._entries[node] is not None else self._children[node][0]

    def _prune(self, roots: list[int]) -> list[int]:
        """Steps 3 and 4: drop dummies, but for roots of several; return the roots that remain."""
        top_down = list(roots)
        for node in top_down:  # which grows meanwhile
            top_down += self._children[node]
        instead: dict[int, list[int]] = {}  # what stands for a node among its siblings
        is_root = set(roots)
        for node in reversed(top_down):
            children = _joined([instead.pop(child) for child in self._children[node]])
            if self._entries[node] is None and (node not in is_root or len(children) < 2):
                self._children[node] = []
                instead[node] = children
                continue
            children.sort(key=self._order)
            self._children[node] = children
            instead[node] = [node]
        return _joined([instead.pop(root) for root in roots])

    def _gather(self) -> None:
        """Step 5: threads of one subject become one."""
        by_subject: dict[str, int] = {}
        for root in self._roots:
            subject = self._subject(root)
            known = by_subject.get(subject)
            if subject and (known is None or self._goes_before(root, known)):
                by_subject[subject] = root
        gone: set[int] = set()
        parents: set[int] = set()  # whose children have to be put in order
        for root in list(self._roots):
            subject = self._subject(root)
            known = by_subject.get(subject, root)
            if known == root:
                continue
            gone.add(root)
            if self._entries[known] is None:
                dummy = self._entries[root] is None
                self._children[known] += self._children[root] if dummy else [root]
                parents.add(known)
            elif self._is_reply(root) and not self._is_reply(known):
                self._children[known].append(root)
                parents.add(known)
            else:
                gone.add(known)
                by_subject[subject] = self._new_dummy([known, root])
                parents.add(by_subject[subject])
        self._roots = [root for root in self._roots if root not in gone]
        for parent in parents:
            self._children[parent].sort(key=self._order)

    def _goes_before(self, root: int, known: int) -> bool:
        if self._entries[known] is None:
            return False
        if self._entries[root] is None:
            return True
        return self._is_reply(known) and not self._is_reply(root)

    def _new_dummy(self, children: list[int]) -> int:
        self._entries.append(None)
        self._children.append(children)
        self._roots.append(len(self._entries) - 1)
        return self._roots[-1]

    def _subject(self, node: int) -> str:
        entry = self._entries[self._first(node)]
        return entry.subject if entry else ""

    def _is_reply(self, node: int) -> bool:
        entry = self._entries[node]
        return entry is not None and entry.is_reply


def _joined(lists: list[list[int]]) -> list[int]:
    """Return all in one, which is the longest: a deep tree is not copied at each level."""
    if not lists:
        return []
    longest = max(lists, key=len)
    for one in lists:
        if one is not longest:
            longest += one
    return longest
