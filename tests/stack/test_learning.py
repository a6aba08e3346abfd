"""Each person teaches the filter by moving mail to Junk and out of it, for herself alone."""

from __future__ import annotations

import hashlib
import imaplib
import random
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid

from firstboot.base.waiting import wait_for
from firstboot.people.desk import ContainerDesk
from tests.stack.boxes import Boxes
from tests.stack.mail import Mail, find
from tests.stack.messages import new_mark
from tests.stack.people import GRACE, STRANGER
from tests.stack.plaintext import files_with
from tools.stack.example import ADA, Person
from tools.stack.lifecycle import StackUp

ASK = (
    "from http.client import HTTPConnection as C; c = C('rspamd', 11334, timeout=120);"
    " c.request('POST', '/learnspam', b'Subject: x', {'Deliver-To': 'x'});"
    " print(c.getresponse().status)"
)
LESSONS = 8
SALE = (
    "casino jackpot bonus lottery winner voucher discount replica watches pharmacy credit loan",
    "investment guarantee unlimited exclusive offer congratulations prize transfer million profit",
)
GARDEN = (
    "tomatoes seedlings compost greenhouse watering harvest beans lettuce orchard pruning slugs",
    "gooseberry trellis mulch autumn bulbs hedge shears allotment neighbour ladder cellar",
)


def written(mark: str, words: Sequence[str], dice: random.Random) -> bytes:
    """A blameless message that is about something."""
    vocabulary = " ".join(words).split()
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = (
        STRANGER,
        ADA.address,
        dice.choice(vocabulary),
    )
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="example.org")
    lines = [" ".join(dice.sample(vocabulary, 9)) + "." for _ in range(8)]
    message.set_content("\n".join([*lines, mark]) + "\n")
    return message.as_bytes(policy=SMTP)


def key(person: Person) -> str:
    return f"RS{hashlib.sha256(person.address.encode()).hexdigest()[:32]}"


def lessons(boxes: Boxes, person: Person, kind: str) -> int:
    output = boxes.run("learned", "redis-cli", "hget", key(person), f"learns_{kind}")[1]
    return int(output.strip() or 0)


def put(
    imap: imaplib.IMAP4, words: Sequence[str], folder: str, flags: str = "", *, times: int = 1
) -> None:
    """Put some LESSONS messages that are about something into a folder."""
    dice = random.Random(1)  # noqa: S311 - the same messages each time
    for _ in range(LESSONS * times):
        imap.append(folder, flags, "", written(new_mark(), words, dice))


def teach(mail: Mail, boxes: Boxes, person: Person) -> None:
    """Have somebody move to Junk what is on sale, and leave what is about a garden."""
    with mail.imap(person) as imap:
        put(imap, GARDEN, "INBOX", "(\\Seen)", times=3)
        put(imap, SALE, "Archive")
        imap.select("Archive")
        assert imap.uid("MOVE", "1:*", "Junk")[0] == "OK"
        wait_for(
            lambda: (
                lessons(boxes, person, "spam") >= LESSONS and lessons(boxes, person, "ham") >= 5
            ),
            what="the lessons",
            timeout=240,
            interval=0.2,
        )


def place(mail: Mail, person: Person, mark: str) -> str:
    """The folder in which a message has arrived."""
    with mail.imap(person) as imap:

        def look() -> str | None:
            for folder in ("INBOX", "Junk"):
                imap.select(folder)
                if next(find(imap, mark), None):
                    return folder
            return None

        return wait_for(look, what=f"the arrival of {mark}", timeout=240, interval=0.2)


def test_one_message_for_two_is_judged_for_each(mail: Mail, boxes: Boxes) -> None:
    teach(mail, boxes, ADA)
    dice = random.Random(2)  # noqa: S311 - the same messages each time
    sale, garden = new_mark(), new_mark()
    mail.receive([ADA.address, GRACE.address], written(sale, SALE, dice))
    mail.receive([ADA.address, GRACE.address], written(garden, GARDEN, dice))
    assert [place(mail, person, sale) for person in (ADA, GRACE)] == ["Junk", "INBOX"]
    assert [place(mail, person, garden) for person in (ADA, GRACE)] == ["INBOX", "INBOX"]


def test_in_the_milter_nobody_s_lessons_count(boxes: Boxes) -> None:
    log = boxes.api.logs(boxes.ids["rspamd"]).decode()
    assert "action, score" in log
    assert "BAYES" not in log


def test_another_opinion_is_unlearned(mail: Mail, boxes: Boxes) -> None:
    spam, ham = (lessons(boxes, ADA, kind) for kind in ("spam", "ham"))
    with mail.imap(ADA) as imap:
        imap.select("Junk")
        taught = imap.uid("SEARCH", "TEXT", "jackpot")[1][0].split()[0].decode()
        assert imap.uid("MOVE", taught, "INBOX")[0] == "OK"
        wait_for(
            # A lesson of before may have been under way.
            lambda: lessons(boxes, ADA, "spam") == spam - 1 and lessons(boxes, ADA, "ham") > ham,
            what="the other lesson",
            timeout=240,
            interval=0.2,
        )


def test_what_is_kept_tells_no_words_and_no_address(stack: StackUp, boxes: Boxes) -> None:
    assert boxes.run("learned", "redis-cli", "save") == (0, "OK\n")
    kept = stack.home.state / "learned/data"
    assert list(files_with(kept, {key(ADA).encode()})) != []
    words = {word.encode() for word in (*SALE[0].split(), *GARDEN[0].split())}
    assert list(files_with(kept, {ADA.address.encode(), *words})) == []


def test_only_the_mailstore_teaches(boxes: Boxes) -> None:
    """Who else reaches the port has no password; what is learned is on a network of its own."""
    code, output = boxes.run("dav", "python3", "-c", ASK)
    assert (code, output.strip()) == (0, "401"), output
    assert boxes.run("mta", "getent", "hosts", "learned")[0] != 0
    assert boxes.run("mailstore", "getent", "hosts", "learned")[0] != 0


def test_without_what_was_learned_mail_comes_and_moves(mail: Mail, all_well: Boxes) -> None:
    mark = new_mark()
    all_well.kill("learned")
    mail.receive([ADA.address], written(mark, SALE, random.Random(3)))  # noqa: S311
    assert place(mail, ADA, mark) == "INBOX"
    with mail.imap(ADA) as imap:
        assert imap.uid("COPY", "*", "Junk")[0] == "OK"
    all_well.mend()
    assert lessons(all_well, ADA, "spam") >= LESSONS - 1


def test_what_somebody_has_taught_goes_with_her(stack: StackUp, boxes: Boxes) -> None:
    others = f"RS{'0' * 32}"
    assert boxes.run("learned", "redis-cli", "hset", others, "learns_spam", "1")[0] == 0
    desk = ContainerDesk(stack.engine, stack.home.project)

    def only_others() -> bool:
        desk.forget_lessons(ADA.address.title())
        found = boxes.run("learned", "redis-cli", "--scan", "--pattern", "RS*")
        return found == (0, f"{others}\n")

    # A lesson may have been under way, such as that of the test before.
    wait_for(only_others, what="forgetting", timeout=240)
    assert list(files_with(stack.home.state / "learned/data", {key(ADA).encode()})) == []
