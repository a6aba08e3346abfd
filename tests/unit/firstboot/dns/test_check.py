"""What is published, against what is wanted: judged record by record, asked of real servers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from firstboot.dns.check import State, Verdict, check_records
from firstboot.dns.judge import judge
from firstboot.dns.records import Kind, Record, wanted_records
from tests.unit.firstboot.dns.samples import KEYS, published, record, records, settings
from tests.unit.firstboot.dnsserver import REVERSE_ZONE, Internet, Mood

A = "192.0.2.10"
SPF = "v=spf1 mx ~all"


def of_zone() -> tuple[Record, ...]:
    return tuple(found for found in records() if found.zone)


def verdicts(net: Internet, wanted: Sequence[Record] = ()) -> dict[tuple[str, str], Verdict]:
    found = check_records(wanted or of_zone(), net.authorities(), [net.resolver.server])
    return {(verdict.record.kind, verdict.record.type): verdict for verdict in found}


def change(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("address", [A]),
        ("mx", ["10 mail.example.com"]),
        ("mx", ["5 mail.example.com", "20 backup.example.net"]),
        ("spf", [SPF]),
        ("spf", ["other=text", "V=SPF1 include:news.example.net MX -all"]),
        ("spf", ["v=spf1 +mx -all"]),
        ("spf", ["v=spf1 a:mail.example.com -all"]),
        ("spf", ["v=spf1 ip6:2001:db8::10 ip4:192.0.2.10 -all"]),
        ("helo-spf", ["v=spf1 a -all"]),
        ("dkim", [KEYS[0].text]),
        ("dkim", [KEYS[0].text.replace("k=rsa", "t=s;k=rsa ").replace("p=", "p= ")]),
        ("dkim", [KEYS[0].text.replace("k=rsa; ", "")]),
        ("dmarc", ["v=DMARC1; p=none"]),
        ("dmarc", ["v=DMARC1;p=reject; rua=mailto:x@example.net"]),
        ("tls-report", ["v=TLSRPTv1; rua=https://example.net/"]),
        ("service", ["5 0 465 mail.example.com"]),
    ],
)
def test_right(kind: Kind, values: list[str]) -> None:
    wanted = record(kind)
    assert judge(wanted, values, {wanted.data}) is None


@pytest.mark.parametrize(
    ("kind", "values", "text", "advice"),
    [
        ("address", ["198.51.100.1"], "found 198.51.100.1", A),
        ("address", [A, "198.51.100.1"], "found 198.51.100.1, too", f"{A} and nothing else"),
        ("mx", ["10 mx.example.net"], "found 10 mx.example.net", "10 mail.example.com"),
        ("mx", ["10 mail.example.com", "10 mx.example.net"], "mail goes to mx.example.net", "10 "),
        ("spf", [SPF, "v=spf1 -all"], "there are 2 SPF records", "one of them, with mx"),
        ("spf", ["v=spf1 -all mx"], "does not let this machine send", "v=spf1 mx -all mx"),
        (
            "spf",
            ["v=spf1 include:news.example.net -all"],
            "found v=spf1 include:news.example.net -all, which does not let",
            "v=spf1 mx include:news.example.net -all",
        ),
        ("spf", ["v=spf1 ip4:192.0.2.10 -all"], "does not let", "v=spf1 mx ip4:192.0.2.10 -all"),
        ("spf", ["v=spf1 -mx ~all"], "does not let", "v=spf1 mx -mx ~all"),
        ("dkim", ["v=DKIM1; k=rsa; p="], "found v=DKIM1; k=rsa; p=", "and nothing else"),
        ("dkim", [KEYS[1].text], "found v=DKIM1; k=ed25519", "and nothing else"),
        ("dmarc", ["v=DMARC1"], "no policy", "v=DMARC1; p=none"),
        ("dmarc", ["v=DMARC1; p=none", "v=DMARC1; p=none"], "there are 2 DMARC", "one of them"),
        ("tls-report", ["v=TLSRPTv1"], "found v=TLSRPTv1", "v=TLSRPTv1; rua="),
        ("service", ["0 1 993 mail.example.com"], "found 0 1 993", "0 1 465 mail.example.com"),
        ("service", ["0 0 0 ."], "found 0 0 0 .", "0 1 465 mail.example.com"),
    ],
)
def test_wrong(kind: Kind, values: list[str], text: str, advice: str) -> None:
    wanted = record(kind)
    finding = judge(wanted, values, {wanted.data})
    assert finding is not None
    assert finding.fault == "wrong"
    assert text in finding.text
    assert advice in finding.wanted


@pytest.mark.parametrize(
    ("found", "text", "data"),
    [
        ("v=spf1 include:spf.example.net mx -all", "", ""),
        (SPF, "not let the smart host send", "v=spf1 include:spf.example.net mx ~all"),
        # What stands behind the end does not count.
        (
            "v=spf1 mx -all include:spf.example.net",
            "not let the smart host send",
            "v=spf1 include:spf.example.net mx -all include:spf.example.net",
        ),
        (
            "v=spf1 -all",
            "not let this machine send",
            "v=spf1 mx include:spf.example.net -all",
        ),
    ],
)
def test_spf_with_a_smart_host(found: str, text: str, data: str) -> None:
    relay = settings("relay: {host: smtp.example.net, spf: SPF.example.net}\n")
    (wanted,) = (one for one in wanted_records(relay, (), (), ()) if one.kind == "spf")
    assert wanted.data == "v=spf1 mx include:spf.example.net ~all"
    finding = judge(wanted, [found], {wanted.data})
    assert (finding is None) == (text == "")
    if finding is not None:
        assert text in finding.text
        assert finding.data == data


@pytest.mark.parametrize(
    ("kind", "values"),
    [("mx", []), ("spf", ["google-site-verification=1"]), ("spf", ["v=spf10 x"]), ("dmarc", ["x"])],
)
def test_missing(kind: Kind, values: list[str]) -> None:
    finding = judge(record(kind), values, {record(kind).data})
    assert finding is not None
    assert (finding.fault, finding.wanted) == ("missing", record(kind).data)


def test_an_address_that_is_not_known_only_has_to_be_there() -> None:
    unknown = records(["2001:db8::10"])[0]
    assert judge(unknown, ["198.51.100.1"], {""}) is None
    assert judge(unknown, [], {""}) is not None


def test_caa() -> None:
    caa = Record("caa", "mail.example.com", "CAA", '0 issue "ca.test"', "", "recommended", "")
    assert judge(caa, ['0 issue "ca.test"'], ()) is None
    assert judge(caa, ['0 issue "ca.test; validationmethods=dns-01"', '0 iodef "x"'], ()) is None
    finding = judge(caa, ['0 issue "other.test"'], ())
    assert finding is not None
    assert "shuts out" in finding.text


def test_all_right(net: Internet) -> None:
    net.publish(published())
    found = verdicts(net)
    assert {verdict.state for verdict in found.values()} == {"right"}
    assert all(verdict.details == () for verdict in found.values())
    # Every server that is responsible was asked for every record.
    for server in (net.first, net.second):
        asked = {(name.lower(), kind) for name, kind, _ in server.asked}
        assert asked >= {wanted.key for wanted in of_zone()}


def test_nothing_published(net: Internet) -> None:
    found = verdicts(net)
    assert {verdict.state for verdict in found.values()} == {"missing"}
    mx = found["mx", "MX"]
    assert mx.details == (
        "there is none, says ns1.example.net (127.0.0.2)",
        "wanted 10 mail.example.com",
    )
    assert not mx.fine
    assert found["dmarc", "TXT"].fine


def test_domain_that_nobody_has_registered(net: Internet) -> None:
    net.root.serve("com", "@ 60 NS a.root.\n")
    mx = verdicts(net, [record("mx")])["mx", "MX"]
    assert mx.state == "missing"
    assert mx.details == (
        "there is none, says a.root (127.0.0.1)",
        "example.com has no zone of its own: it may be mistyped, or not be registered",
        "wanted 10 mail.example.com",
    )


def test_wrong_record_is_told_with_what_was_found(net: Internet) -> None:
    net.publish(change(published(), "A 192.0.2.10", "A 198.51.100.1"))
    verdict = verdicts(net)["address", "A"]
    assert verdict.state == "wrong"
    assert verdict.details == (
        "found 198.51.100.1, says ns1.example.net (127.0.0.2)",
        "wanted 192.0.2.10",
    )
    assert not verdict.fine


def test_reverse_records(net: Internet) -> None:
    wanted = [found for found in records(["192.0.2.10"]) if found.kind == "reverse"]
    assert verdicts(net, wanted)["reverse", "PTR"].state == "right"
    net.root.serve("arpa", REVERSE_ZONE.replace("mail.example.com", "host.provider.example"))
    verdict = verdicts(net, wanted)["reverse", "PTR"]
    assert verdict.state == "wrong"
    assert verdict.details[0].startswith("found host.provider.example")


def test_a_resolver_with_an_old_answer(net: Internet) -> None:
    net.publish(published())
    net.resolver.serve("example.com", change(published(), "A 192.0.2.10", "A 198.51.100.1"))
    verdict = verdicts(net)["address", "A"]
    assert verdict.state == "stale"
    assert verdict.details == (
        "not yet everywhere: 127.0.0.4 says: found 198.51.100.1; it may keep that for another 60 s",
    )
    assert not verdict.fine


def test_one_of_two_servers_with_an_old_answer(net: Internet) -> None:
    net.publish(published())
    net.second.serve("example.com", change(published(), "MX 10 mail", "MX 10 old"))
    verdict = verdicts(net)["mx", "MX"]
    assert verdict.state == "stale"
    assert "ns2.example.com (127.0.0.3) says: found 10 old.example.com" in verdict.details[0]


@pytest.mark.parametrize(
    ("which", "mood"),
    [
        *(("second", mood) for mood in ("silent", "servfail", "refused", "garbage", "lame")),
        *(("resolver", mood) for mood in ("silent", "servfail", "refused")),
    ],
)
def test_one_that_does_not_answer_is_never_taken_for_right(
    net: Internet, which: str, mood: Mood
) -> None:
    net.publish(published())
    server = getattr(net, which)
    server.mood = mood
    if mood in ("silent", "garbage"):
        net.patience = 0.3
    found = verdicts(net, [record("mx")])["mx", "MX"]
    assert found.state == "unknown"
    assert server.address in found.details[0]
    assert not found.fine


def test_no_server_answers(net: Internet) -> None:
    net.publish(published())
    net.first.mood = net.second.mood = "servfail"
    verdict = verdicts(net, [record("mx")])["mx", "MX"]
    assert verdict.state == "unknown"
    assert "SERVFAIL" in " ".join(verdict.details)


def test_a_lying_resolver_does_not_hide_what_is_missing(net: Internet) -> None:
    net.resolver.serve("example.com", published())
    assert verdicts(net, [record("mx")])["mx", "MX"].state == "missing"


def test_truncated_answers_are_asked_for_again(net: Internet) -> None:
    net.publish(published())
    for server in (net.first, net.second, net.resolver):
        server.mood = "cut"
    assert verdicts(net, [record("dkim")])["dkim", "TXT"].state == "right"


def test_host_that_is_an_alias(net: Internet) -> None:
    net.publish(
        "@ 60 NS ns1.example.net.\n@ 60 NS ns2\nns2 60 A 127.0.0.3\n"
        "mail 60 CNAME real\nreal 60 A 192.0.2.10\n"
    )
    verdict = verdicts(net, [record("address")])["address", "A"]
    assert verdict.state == "wrong"
    assert "alias of real.example.com" in verdict.details[0]


def test_text_behind_an_alias_elsewhere(net: Internet) -> None:
    net.root.serve(
        "net", '@ 60 NS a.root.\nns1.example 60 A 127.0.0.2\n_d 60 TXT "v=DMARC1; p=none"\n'
    )
    zone = published([found for found in of_zone() if found.kind != "dmarc"])
    net.publish(zone + "_dmarc 60 CNAME _d.net.\n")
    net.resolver.serve("example.com", published())
    assert verdicts(net, [record("dmarc")])["dmarc", "TXT"].state == "right"


STATES: tuple[State, ...] = ("missing", "wrong", "stale", "unknown")


@pytest.mark.parametrize("state", STATES)
def test_only_a_recommended_record_may_be_left_out(state: State) -> None:
    assert not Verdict(record("mx"), state, ()).fine
    assert Verdict(record("dmarc"), state, ()).fine == (state == "missing")
