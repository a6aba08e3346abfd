"""Whether a password can be guessed: its length, and what zxcvbn thinks of it."""

from __future__ import annotations

from collections.abc import Sequence

from firstboot.base.passwords import MIN_LENGTH

# zxcvbn 0 to 4; 3 is "safely unguessable: moderate protection from offline slow-hash scenario".
LEAST_SCORE = 3
MOST = 512
# Its time grows with the square of the length, and what is longer is not weaker.
_JUDGED = 72


def password_problem(password: str, words: Sequence[str] = ()) -> str:
    """What is wrong with a password, as a sentence, or "".

    `words` are those that an attacker would try first, such as the person's name.
    """
    if len(password) < MIN_LENGTH:
        return f"That is too short: at least {MIN_LENGTH} characters."
    if len(password) > MOST:
        return f"That is too long: at most {MOST} characters."
    if not password.isprintable():
        return "Take characters that can be seen."
    # Loading its word lists costs time that no other command should pay.
    from zxcvbn import zxcvbn  # noqa: PLC0415

    parts = [part for word in words for part in word.replace("@", " ").replace(".", " ").split()]
    found = zxcvbn(password[:_JUDGED], user_inputs=[*words, *parts])
    if found["score"] >= LEAST_SCORE:
        return ""
    reason = str(found["feedback"]["warning"]).rstrip(".")
    return (
        f"That is easy to guess{f' ({reason[:1].lower()}{reason[1:]})' if reason else ''}. "
        "Four or five words that have nothing to do with each other are good."
    )
