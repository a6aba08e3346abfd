"""What people type for a domain, and what is wrong with it though its letters are right.

Public suffixes are those of the Public Suffix List (package publicsuffix2).
"""

from __future__ import annotations

import difflib
import functools
from typing import Any

from firstboot.base.questions.judge import sentence
from firstboot.base.questions.model import Verdict
from firstboot.base.rules import domain_problem

# fmt: off
# Of people who have their mail elsewhere: nobody but the provider can receive mail for these.
PROVIDERS = frozenset({
    "126.com", "163.com", "aol.com", "bluewin.ch", "btinternet.com", "comcast.net", "fastmail.com",
    "free.fr", "freenet.de", "gmail.com", "gmx.at", "gmx.ch", "gmx.com", "gmx.de", "gmx.net",
    "googlemail.com", "hey.com", "hotmail.com", "hotmail.de", "hotmail.fr", "icloud.com",
    "laposte.net", "libero.it", "live.com", "mac.com", "mail.com", "mail.ru", "mailbox.org",
    "me.com", "msn.com", "naver.com", "orange.fr", "outlook.com", "outlook.de", "pm.me",
    "posteo.de", "proton.me", "protonmail.com", "qq.com", "t-online.de", "tuta.com", "tuta.io",
    "tutanota.com", "verizon.net", "web.de", "wp.pl", "yahoo.co.jp", "yahoo.co.uk", "yahoo.com",
    "yahoo.de", "yahoo.fr", "yandex.com", "yandex.ru", "ymail.com", "zoho.com",
})
# RFC 2606, RFC 6762, RFC 8375, RFC 9476, and ICANN's "internal": no mail comes from outside.
LOCAL = frozenset({
    "alt", "arpa", "example", "home", "internal", "invalid", "lan", "local", "localhost", "onion",
    "test",
})
# fmt: on


def read_domain(typed: str) -> Verdict:
    """A domain as the settings want it: ASCII, in lower case, without a dot at its end."""
    name = typed.strip().lower().replace("\N{IDEOGRAPHIC FULL STOP}", ".")
    bare = name[:-1] if name.endswith(".") and not name.endswith("..") else name
    if not bare.isascii():
        encoded = _encode(bare)
        if not encoded:
            return Verdict(bare, problem=f"{bare} is not a domain name.")
        return Verdict(
            encoded,
            problem=sentence(domain_problem(encoded) or ""),
            note=f"{bare} is written {encoded} in settings, mail and DNS.",
        )
    note = f"Taken as {bare}, without the dot at its end." if bare != name else ""
    return Verdict(bare, problem=sentence(domain_problem(bare) or ""), note=note)


def judge_domain(typed: str) -> Verdict:
    """A domain that somebody wants to receive mail for, or the name of a machine in one."""
    verdict = read_domain(typed)
    name = str(verdict.value)
    if verdict.problem:
        return verdict
    problem = _owner_problem(name)
    doubt = "" if problem else _doubt(name)
    return Verdict(name, problem, doubt, verdict.note)


def _owner_problem(name: str) -> str:
    provider = next((p for p in PROVIDERS if name == p or name.endswith(f".{p}")), None)
    if provider is not None:
        return (
            f"{provider} is somebody else's domain: mail for it goes there and never comes here. "
            "Take a domain of your own."
        )
    if _suffixes().get_tld(name, strict=True) == name:
        return f"{name} is a public suffix, which nobody owns. Take a domain below it."
    return ""


def _doubt(name: str) -> str:
    near = difflib.get_close_matches(name, PROVIDERS, n=1, cutoff=0.85)
    if near and len(name) > 5:
        return f"Is this a slip of the pen? {near[0]} would be somebody else's domain."
    top = name.rpartition(".")[2]
    if top in LOCAL:
        return f"Names that end in .{top} work in your own network at most: no mail from outside."
    if _suffixes().get_tld(name, strict=True) is None:
        known = sorted(suffix for suffix in _suffixes().tlds if "." not in suffix)
        # The common ones first: .con is meant to be .com rather than .cool.
        common = ("com", "org", "net", "de", "info", "eu", "uk", "fr", "it", "at", "ch", "io")
        for names in (common, known):
            if meant := difflib.get_close_matches(top, names, n=1, cutoff=0.6):
                corrected = f"{name.removesuffix(top)}{meant[0]}"
                return f"There is no domain .{top}. Did you mean {corrected}?"
        return f"There is no domain .{top} that this machine knows of."
    return ""


def _encode(name: str) -> str:
    """An international name in its xn-- form (IDNA 2008, UTS 46), empty when it has none."""
    # Its tables cost time that only such names should pay.
    import idna  # noqa: PLC0415

    try:
        return idna.encode(name, uts46=True).decode("ascii").lower()
    except idna.IDNAError:
        return ""


@functools.cache
def _suffixes() -> Any:
    from publicsuffix2 import PublicSuffixList  # noqa: PLC0415 - see above

    return PublicSuffixList(idna=True)
