"""How fast is SEARCH in a vault, beside reading every message as a server without an index does?

Both search the same vault in the same process and must find the same messages. Messages are made of
words by Zipf's law from a seed, some with HTML, Chinese or an attachment.
"""

from __future__ import annotations

import base64
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click

from postmaster.crypto import DataKey
from postmaster.message.header import header_length
from postmaster.message.searchable import field_contains, fold, searchable, searchable_body
from postmaster.storage.interface import (
    Delivery,
    Mailbox,
    NewMessage,
    TextKey,
    TextScope,
    arrival_time,
)
from postmaster.storage.vault import Vault

WORDS = 30_000
BUDGET = 8 << 20  # bytes read in one go
CHINESE = "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动"


@dataclass(frozen=True)
class Figures:
    """One search: how many messages it finds, and the seconds that both ways take."""

    search: str
    found: int
    seconds: float  # median
    reading_seconds: float  # once
    ratio: float


def make_words(dice: random.Random) -> list[str]:
    """Return words, the most frequent first."""
    syllables = [a + b for a in "bcdfghklmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "er")]
    return ["".join(dice.choices(syllables, k=dice.randint(1, 4))) for _ in range(WORDS)]


def make_messages(count: int, dice: random.Random, words: list[str]) -> Iterator[bytes]:
    """Yield messages of 1 to 8 KiB of text."""
    weights = [1 / rank for rank in range(1, WORDS + 1)]
    for number in range(count):
        text = dice.choices(words, weights, k=dice.randint(100, 1000))
        if number % 10 == 0:
            text += ["".join(dice.choices(CHINESE, k=8)) for _ in range(50)]
        lines = "\r\n".join(" ".join(text[at : at + 12]) for at in range(0, len(text), 12))
        body = f"Content-Type: text/plain; charset=utf-8\r\n\r\n{lines}\r\n"
        if number % 4 == 0:
            body += f"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>{lines}</p>\r\n"
        if number % 20 == 0:
            data = base64.encodebytes(dice.randbytes(100_000)).decode().replace("\n", "\r\n")
            body += f"--b\r\nContent-Type: application/pdf\r\n\r\n{data}"
        subject = " ".join(dice.choices(words, weights, k=6))
        yield (
            f"Received: from a by b id {number}; Tue, 24 Nov 2026 12:00:00 +0000\r\n"
            f"From: {dice.choice(words)}@example.com\r\nTo: ada@example.com\r\n"
            f"Subject: {subject}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
            f"--b\r\n{body}--b--\r\n"
        ).encode()


def read_every_message(vault: Mailbox, folder: int, key: TextKey) -> frozenset[int]:
    """Search as without an index: read, decode, fold and compare each message."""
    wanted, name = fold(key.wanted), fold(key.field)
    uids = list(vault.snapshot("INBOX", claim_recent=False).uids)
    found = []
    while uids:
        read = vault.contents(folder, uids, bodies=True, outlines=True, budget=BUDGET)
        for content in read:
            assert content.outline is not None
            raw = content.raw
            text = searchable(raw, header_length(raw), content.outline, most=0)
            body = searchable_body(raw, content.outline)
            hit = {
                TextScope.BODY: wanted in body,
                TextScope.TEXT: wanted in body or wanted in text.header,
                TextScope.FIELD: field_contains(text.header, name, wanted),
            }
            if hit[key.scope]:
                found.append(content.message.uid)
        uids = uids[len(read) :]
    return frozenset(found)


def timed(work: Callable[[], frozenset[int]]) -> tuple[float, frozenset[int]]:
    """Return the seconds that work takes, and what it returns."""
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def measure(vault: Mailbox, name: str, key: TextKey) -> Figures:
    """Search three times with the index and once without; the answers must be the same."""
    folder = vault.folder("INBOX").id
    runs = [timed(lambda: vault.search(folder, key)) for _ in range(3)]
    reading, expected = timed(lambda: read_every_message(vault, folder, key))
    assert all(found == expected for _, found in runs), f"{name}: another answer"
    seconds = median(seconds for seconds, _ in runs)
    return Figures(
        name, len(expected), round(seconds, 4), round(reading, 2), round(reading / seconds, 1)
    )


@click.command()
@click.option("--messages", default=10_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(messages: int, seed: int, as_json: bool) -> None:
    """Deliver messages into a new vault, then search them in both ways."""
    dice = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    words = make_words(dice)
    with TemporaryDirectory() as folder:
        vault = Vault(Path(folder) / "a.vault", DataKey(dice.randbytes(32)))
        seconds, size = 0.0, 0
        for raw in make_messages(messages, dice, words):
            new = NewMessage(raw, frozenset(), arrival_time())
            started = time.perf_counter()
            vault.deliver(Delivery(new))
            seconds += time.perf_counter() - started
            size += len(raw)
        click.echo(f"delivered {messages} in {seconds:.1f} s", err=True)
        rare = next(word for word in words[20_000:] if len(word) > 7)
        common = words[30]
        searches = {
            "BODY, rare word": TextKey(TextScope.BODY, rare),
            "BODY, common word": TextKey(TextScope.BODY, common),
            "BODY, not there": TextKey(TextScope.BODY, "zzyzx"),
            "BODY, one letter": TextKey(TextScope.BODY, "w"),
            "BODY, two Chinese characters": TextKey(TextScope.BODY, CHINESE[3:5]),
            "TEXT, rare word": TextKey(TextScope.TEXT, rare),
            "SUBJECT, common word": TextKey(TextScope.FIELD, common, "subject"),
            "FROM, rare word": TextKey(TextScope.FIELD, rare, "from"),
        }
        before_index = measure(
            vault, "BODY, rare word, nothing in the index yet", searches["BODY, rare word"]
        )
        index_seconds, _ = timed(lambda: (all(iter(vault.tidy, False)), frozenset())[1])
        rows = [before_index, *(measure(vault, name, key) for name, key in searches.items())]
        vault.close()
        file_size = (Path(folder) / "a.vault").stat().st_size
    report = {
        "messages": messages,
        "bytes": size,
        "deliver_ms": round(seconds / messages * 1000, 2),
        "index_ms": round(index_seconds / messages * 1000, 2),
        "file_ratio": round(file_size / size, 2),
        "searches": [asdict(row) for row in rows],
    }
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    for name in ("messages", "bytes", "deliver_ms", "index_ms", "file_ratio"):
        click.echo(f"{name:12} {report[name]}")
    for row in rows:
        click.echo(
            f"{row.search:44} {row.found:6} {row.seconds * 1000:8.1f} ms"
            f"{row.reading_seconds * 1000:10.0f} ms{row.ratio:9.1f} x"
        )


if __name__ == "__main__":
    sys.exit(main())
