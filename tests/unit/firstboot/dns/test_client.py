"""Questions to real servers over UDP and TCP, and delegations followed from a root."""

from __future__ import annotations

import pytest

from firstboot.base.waiting import wait_for
from firstboot.system.authority import MOST_SILENT
from firstboot.system.dnsclient import NoAnswerError, Server, ask
from tests.unit.firstboot.dnsserver import FIRST, RESOLVER, SECONDS, Internet, Mood
from tests.unit.firstboot.ports import free_port

ZONE = """\
@ 60 NS ns1.example.net.
@ 60 NS ns2
ns2 60 A 127.0.0.3
@ 60 MX 10 Mail.Example.com.
@ 60 TXT "v=spf1 mx" " ~all"
@ 60 TXT "a \\"quoted\\" text"
mail 60 A 192.0.2.10
www 60 CNAME mail
far 60 CNAME ns1.example.net.
circle 60 CNAME circle2
circle2 60 CNAME circle
_imaps._tcp 60 SRV 0 1 993 mail
@ 60 CAA 0 issue "ca.example.net"
"""


@pytest.fixture
def filled(net: Internet) -> Internet:
    net.publish(ZONE)
    return net


@pytest.mark.parametrize(
    ("name", "kind", "values"),
    [
        ("example.com", "MX", ("10 mail.example.com",)),
        ("example.com", "TXT", ("v=spf1 mx ~all", 'a "quoted" text')),
        ("EXAMPLE.com", "CAA", ('0 issue "ca.example.net"',)),
        ("mail.example.com", "A", ("192.0.2.10",)),
        ("www.example.com", "A", ("192.0.2.10",)),
        ("_imaps._tcp.example.com", "SRV", ("0 1 993 mail.example.com",)),
        ("mail.example.com", "AAAA", ()),
    ],
)
def test_values(filled: Internet, name: str, kind: str, values: tuple[str, ...]) -> None:
    answer = ask(filled.first.server, name, kind, recursive=False)
    assert sorted(answer.values) == sorted(values)
    assert answer.authoritative
    assert answer.exists
    assert answer.ttl == 60


def test_name_that_does_not_exist(filled: Internet) -> None:
    answer = ask(filled.first.server, "nothing.example.com", "A", recursive=False)
    assert (answer.values, answer.exists) == ((), False)


def test_resolver_tells_that_it_validated(filled: Internet) -> None:
    assert ask(filled.resolver.server, "mail.example.com", "A", recursive=True).validated
    assert not ask(filled.first.server, "mail.example.com", "A", recursive=False).validated


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        ("silent", "127.0.0.2 did not answer for mail.example.com A within "),
        ("servfail", "127.0.0.2 answered SERVFAIL"),
        ("refused", "127.0.0.2 answered REFUSED"),
        ("garbage", "127.0.0.2 did not answer"),
        ("other question", "127.0.0.2 did not answer"),
    ],
)
def test_no_answer_is_an_error_with_its_reason(filled: Internet, mood: Mood, reason: str) -> None:
    filled.first.mood = mood
    with pytest.raises(NoAnswerError) as caught:
        ask(filled.first.server, "mail.example.com", "A", recursive=False, timeout=0.1)
    assert caught.value.message.startswith(reason)
    assert caught.value.exit_code == 11


def test_an_answer_that_does_not_fit_comes_over_tcp(filled: Internet) -> None:
    filled.first.mood = "cut"
    answer = ask(filled.first.server, "mail.example.com", "A", recursive=False)
    assert answer.values == ("192.0.2.10",)
    assert filled.first.asked[-1] == ("mail.example.com", "A", True)


def test_name_that_is_too_long(filled: Internet) -> None:
    name = ".".join(["a" * 60] * 5)
    with pytest.raises(NoAnswerError, match="cannot be asked for"):
        ask(filled.first.server, name, "A", recursive=False)
    assert filled.first.asked == []


def test_nobody_listens() -> None:
    server = Server(FIRST, "ns.example.net", free_port(FIRST))
    with pytest.raises(NoAnswerError, match=r"^ns\.example\.net \(127\.0\.0\.2\) "):
        ask(server, "example.com", "A", recursive=False, timeout=0.1)


def test_delegations_are_followed_from_the_root(filled: Internet) -> None:
    authorities = filled.authorities()
    zone = authorities.zone_of("mail.example.com")
    assert zone.name == "example.com"
    assert sorted(map(str, zone.servers)) == [
        "ns1.example.net (127.0.0.2)",
        "ns2.example.com (127.0.0.3)",
    ]
    assert filled.resolver.asked == []
    assert authorities.lookup("www.example.com", "A").values == ("192.0.2.10",)
    assert authorities.lookup("far.example.com", "A").values == ("127.0.0.2",)
    before = len(filled.root.asked)
    authorities.lookup("mail.example.com", "A")
    assert len(filled.root.asked) == before


def test_zone_that_is_not_delegated(filled: Internet) -> None:
    zone = filled.authorities().zone_of("mail.example.org")
    assert zone.name == "."


def test_aliases_that_lead_in_circles(filled: Internet) -> None:
    with pytest.raises(NoAnswerError, match="makes no sense"):
        filled.authorities().lookup("circle.example.com", "A")


def test_a_silent_server_is_passed_over(filled: Internet) -> None:
    filled.patience = 0.3
    filled.first.mood = "silent"
    assert filled.authorities().lookup("mail.example.com", "A").values == ("192.0.2.10",)
    filled.second.mood = "lame"
    with pytest.raises(NoAnswerError) as caught:
        filled.authorities().lookup("mail.example.com", "A")
    assert "ns1.example.net (127.0.0.2) did not answer" in caught.value.message
    assert "ns2.example.com (127.0.0.3) does not know the zone example.com" in caught.value.message


def test_nobody_waits_twice_for_what_is_out_of_reach(filled: Internet) -> None:
    filled.patience = 0.3
    filled.first.mood = filled.second.mood = "silent"
    authorities = filled.authorities()
    for name in ("mail.example.com", "www.example.com"):
        with pytest.raises(NoAnswerError, match=r"ns1\.example\.net \(127\.0\.0\.2\) did not"):
            authorities.lookup(name, "A")
    # Each of them was asked once, and both at the same time; which a busy one may not know yet.
    wait_for(
        lambda: [len(server.asked) for server in (filled.first, filled.second)] == [1, 1],
        what="a question for each",
        timeout=SECONDS,
        interval=0.02,
    )
    filled.first.mood = "honest"
    assert filled.authorities().lookup("mail.example.com", "A").values == ("192.0.2.10",)


def test_an_error_about_one_name_says_nothing_about_others(filled: Internet) -> None:
    filled.first.mood = filled.second.mood = "servfail"
    authorities = filled.authorities()
    with pytest.raises(NoAnswerError, match="SERVFAIL"):
        authorities.lookup("mail.example.com", "A")
    filled.second.mood = "honest"
    assert authorities.lookup("www.example.com", "A").values == ("192.0.2.10",)


def test_roots_that_somebody_else_answers_for(filled: Internet) -> None:
    """As where a router answers all questions itself, by IPv4, and IPv6 leads nowhere."""
    filled.patience = 0.3
    filled.first.mood = "silent"
    authorities = filled.authorities()
    port = filled.root.server.port
    silent = [Server(FIRST, f"{number}.silent", port) for number in range(9)]
    others = [Server(RESOLVER, f"{number}.other", port) for number in range(9)]
    authorities.roots = tuple(one for pair in zip(others, silent, strict=True) for one in pair)
    with pytest.raises(NoAnswerError, match="something on the way did so in its place"):
        authorities.lookup("mail.example.com", "A")
    assert len(filled.first.asked) <= 2 * MOST_SILENT
    before = len(filled.resolver.asked)
    with pytest.raises(NoAnswerError, match="in its place"):
        authorities.lookup("www.example.com", "A")
    assert len(filled.resolver.asked) == before


def test_addresses_of_strangers_are_not_taken_from_a_delegation(filled: Internet) -> None:
    """com may not say where ns1.example.net is."""
    filled.root.claims["ns1.example.net."] = "127.0.0.9"
    zone = filled.authorities().zone_of("example.com")
    assert [s.address for s in zone.servers if s.name == "ns1.example.net"] == ["127.0.0.2"]
    assert ("ns1.example.net", "A", False) in filled.root.asked


def test_delegation_without_servers(filled: Internet) -> None:
    filled.root.serve("com", "@ 60 NS a.root.\nexample 60 NS ns.nowhere.net.\n")
    with pytest.raises(
        NoAnswerError, match=r"the name servers of example\.com are not to be found"
    ):
        filled.authorities().zone_of("example.com")


def test_delegation_to_itself(filled: Internet) -> None:
    """A server below that refers back up, or to the same zone, does not keep anybody busy."""
    for server in (filled.first, filled.second):
        server.zones.clear()
        server.serve("com", "@ 60 NS a.root.\nexample 60 NS ns1.example.net.\n")
    with pytest.raises(NoAnswerError, match=r"does not know the zone example\.com"):
        filled.authorities().lookup("mail.example.com", "A")


def test_without_a_network(filled: Internet) -> None:
    authorities = filled.authorities()
    authorities.roots = ()
    with pytest.raises(NoAnswerError, match="no route"):
        authorities.zone_of("example.com")
