"""Which records settings ask for, and how they are printed."""

from __future__ import annotations

import base64
import ipaddress
import json
import re
import stat
from pathlib import Path

import dns.zone
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from firstboot.base.dkim import ensure_keys, signing_key
from firstboot.base.errors import StackError
from firstboot.dns import formats
from firstboot.dns.commands import STYLE_NAMES
from firstboot.dns.formats import rdata
from firstboot.dns.judge import judge
from firstboot.dns.records import host_zone, relative_name, wanted_records
from tests.unit.firstboot.dns.samples import KEYS, PORTS, RSA, records, settings, web


def test_every_record() -> None:
    assert [(found.name, found.type, found.data, found.need) for found in records()] == [
        ("mail.example.com", "A", "192.0.2.10", "required"),
        ("mail.example.com", "AAAA", "2001:db8::10", "required"),
        ("mail.example.com", "TXT", "v=spf1 a -all", "recommended"),
        ("example.com", "MX", "10 mail.example.com", "required"),
        ("example.com", "TXT", "v=spf1 mx ~all", "required"),
        ("mailstead-rsa1._domainkey.example.com", "TXT", KEYS[0].text, "recommended"),
        ("mailstead-ed1._domainkey.example.com", "TXT", KEYS[1].text, "recommended"),
        ("_dmarc.example.com", "TXT", "v=DMARC1; p=none", "recommended"),
        (
            "_smtp._tls.example.com",
            "TXT",
            "v=TLSRPTv1; rua=mailto:postmaster@example.com",
            "recommended",
        ),
        ("_submissions._tcp.example.com", "SRV", "0 1 465 mail.example.com", "recommended"),
        ("_submission._tcp.example.com", "SRV", "10 1 587 mail.example.com", "recommended"),
        ("_imaps._tcp.example.com", "SRV", "0 1 993 mail.example.com", "recommended"),
        ("autoconfig.example.com", "CNAME", "mail.example.com", "recommended"),
        ("_autodiscover._tcp.example.com", "SRV", "0 1 443 mail.example.com", "recommended"),
        ("_caldavs._tcp.example.com", "SRV", "0 1 443 mail.example.com", "recommended"),
        ("_caldavs._tcp.example.com", "TXT", "path=/dav/", "recommended"),
        ("_carddavs._tcp.example.com", "SRV", "0 1 443 mail.example.com", "recommended"),
        ("_carddavs._tcp.example.com", "TXT", "path=/dav/", "recommended"),
        ("10.2.0.192.in-addr.arpa", "PTR", "mail.example.com", "required"),
        (f"0.1.{'0.' * 22}8.b.d.0.1.0.0.2.ip6.arpa", "PTR", "mail.example.com", "required"),
    ]
    assert all(found.why for found in records())


def test_only_what_is_served_has_an_srv_record() -> None:
    ips = (ipaddress.ip_address("192.0.2.10"),)
    found = wanted_records(settings(), PORTS[:1], ips, ())
    assert [record for record in found if record.type == "SRV"] == []


def test_a_policy_for_encryption_needs_certificates_that_everybody_trusts() -> None:
    """MTA-STS: with a certificate that others do not trust, no mail would come."""
    assert [found for found in records() if "mta-sts" in found.name] == []
    trusted = settings("tls: {method: acme}\n")
    found = {
        record.name: record
        for record in wanted_records(trusted, PORTS, (), (), web(trusted))
        if "mta-sts" in record.name
    }
    assert found["mta-sts.example.com"].data == "mail.example.com"
    assert found["mta-sts.example.com"].type == "CNAME"
    policy = web(trusted).policy
    assert policy.splitlines()[:3] == ["version: STSv1", "mode: enforce", "mx: mail.example.com"]
    assert re.fullmatch(r"v=STSv1; id=[0-9a-f]{32}", found["_mta-sts.example.com"].data)
    # Others look at the policy again only when the record has another id.
    elsewhere = settings("tls: {method: acme}\n", hostname="mx.example.com")
    assert web(elsewhere).policy_id != web(trusted).policy_id
    assert web(trusted).names == ("autoconfig.example.com", "mta-sts.example.com")


def test_what_is_published_for_the_web_is_judged() -> None:
    trusted = settings("tls: {method: acme}\n")
    wanted = {
        (found.name, found.type): found
        for found in wanted_records(trusted, PORTS, (), (), web(trusted))
    }
    alias = wanted["autoconfig.example.com", "CNAME"]
    assert judge(alias, ["mail.example.com"], {alias.data}) is None
    other = judge(alias, ["host.example.net"], {alias.data})
    assert (other and other.fault) == "wrong"
    policy = wanted["_mta-sts.example.com", "TXT"]
    # A text of another kind stands beside it; an old id makes others keep an old policy.
    assert judge(policy, ["something else", policy.data], {policy.data}) is None
    for values, fault in ((["v=STSv1; id=1"], "wrong"), (["something else"], "missing")):
        found = judge(policy, values, {policy.data})
        assert (found and found.fault) == fault
    assert rdata(alias) == "mail.example.com."
    assert "cf-proxied:false" in formats.cloudflare([alias])


def test_each_domain_has_its_own() -> None:
    more = settings().model_dump(mode="json")
    more["domains"] = [{"name": "example.com"}, {"name": "example.org"}]
    both = type(settings()).model_validate_json(json.dumps(more))
    found = wanted_records(both, PORTS, (), KEYS)
    assert {record.name for record in found if record.type == "MX"} == {
        "example.com",
        "example.org",
    }
    # A key of another domain is not shown.
    assert {record.zone for record in found if record.kind == "dkim"} == {"example.com"}


def test_unknown_address_is_wanted_all_the_same() -> None:
    first, *others = records(["2001:db8::10"])
    assert (first.name, first.type, first.data) == ("mail.example.com", "A", "")
    assert [found.data for found in others if found.kind == "address"] == ["2001:db8::10"]


@pytest.mark.parametrize(
    ("hostname", "zone"),
    [
        ("mail.example.com", "example.com"),
        ("example.com", "example.com"),
        ("a.b.example.com", "example.com"),
        ("mail.notexample.com", "notexample.com"),
        ("mx.example.net", "example.net"),
    ],
)
def test_zone_of_the_host(hostname: str, zone: str) -> None:
    assert host_zone(settings(hostname=hostname)) == zone


def test_host_that_is_a_mail_domain_has_one_spf_record() -> None:
    found = [record for record in records(hostname="example.com") if "spf1" in record.data]
    assert [record.kind for record in found] == ["spf"]


@pytest.mark.parametrize(
    ("tls", "data"),
    [
        ("{method: self-signed}", []),
        ("{method: acme}", ['0 issue "letsencrypt.org"']),
        ("{method: acme, directory: 'https://ca.example.net/acme'}", []),
        ("{method: acme, directory: 'https://notletsencrypt.org.example.net/acme'}", []),
    ],
)
def test_authority_of_certificates(tls: str, data: list[str]) -> None:
    found = wanted_records(settings(f"tls: {tls}\n"), PORTS, (), ())
    caa = [record for record in found if record.type == "CAA"]
    assert [record.data for record in caa] == data
    assert all(record.name == "mail.example.com" for record in caa)


def test_names_within_a_zone() -> None:
    assert relative_name("example.com", "example.com") == "@"
    assert relative_name("a.b.example.com", "example.com") == "a.b"


def test_zone_file_is_one() -> None:
    text = formats.zone_file(records())
    parsed = dns.zone.from_text(text, origin="example.com.", relativize=False, check_origin=False)
    mail = parsed.find_rrset("mail.example.com.", "A")
    assert [rdata.address for rdata in mail] == ["192.0.2.10"]
    key = parsed.find_rrset("mailstead-rsa1._domainkey.example.com.", "TXT")[0]
    assert all(len(part) <= 255 for part in key.strings)
    assert b"".join(key.strings).decode() == f"v=DKIM1; k=rsa; p={RSA}"
    assert parsed.get_rrset("10.2.0.192.in-addr.arpa.", "PTR") is None
    assert "; 10.2.0.192.in-addr.arpa. 3600 IN PTR mail.example.com." in text


def test_zone_file_without_an_address_has_a_remark() -> None:
    text = formats.zone_file(records(["2001:db8::10"]))
    assert "\n; mail 3600 IN A (the public IPv4 address)\n" in text
    dns.zone.from_text(text, origin="example.com.", check_origin=False)


def test_cloudflare_does_not_proxy_mail() -> None:
    lines = formats.cloudflare(records()).splitlines()
    assert lines[0] == "mail.example.com. 3600 IN A 192.0.2.10 ; cf_tags=cf-proxied:false"
    assert not any("PTR" in line for line in lines)
    text = "\n".join(lines)
    parsed = dns.zone.from_text(text, origin="example.com.", check_origin=False)
    assert len(parsed.nodes) == 13


def test_form_of_providers() -> None:
    lines = [line.split() for line in formats.form(records()).splitlines()]
    assert ["type", "host", "priority", "TTL", "value"] in lines
    assert ["MX", "@", "10", "3600", "mail.example.com"] in lines
    assert ["A", "mail", "3600", "192.0.2.10"] in lines
    assert ["SRV", "_imaps._tcp", "3600", "0", "1", "993", "mail.example.com"] in lines


def test_plain_lines() -> None:
    lines = formats.plain(records()).splitlines()
    assert re.fullmatch(r"A +mail\.example\.com +192\.0\.2\.10", lines[0])
    assert len(lines) == len(records())


def test_route53_replaces_nothing() -> None:
    (batch,) = [json.loads(text) for text in [formats.route53(records())]]
    assert {change["Action"] for change in batch["Changes"]} == {"CREATE"}
    assert len(batch["Changes"]) == 18


def test_nsupdate() -> None:
    lines = formats.nsupdate(records()).splitlines()
    assert (lines[0], lines[-1]) == ("zone example.com.", "send")
    assert 'update add example.com. 3600 IN TXT "v=spf1 mx ~all"' in lines


def test_table_for_people() -> None:
    text = formats.table(records(["2001:db8::10"]))
    assert text.startswith("In the zone of example.com:\n\n  A     mail.example.com  (required)\n")
    assert "        (the public IPv4 address)\n" in text
    assert "At whoever gives out the addresses:" in text


def test_every_style_can_be_chosen() -> None:
    assert tuple(formats.STYLES) == STYLE_NAMES
    for style in formats.STYLES.values():
        assert style(records())


def test_keys_are_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "dkim"
    made = ensure_keys(folder, ("example.com",))
    assert [(key.selector, key.algorithm) for key in made] == [
        ("mailstead-rsa1", "rsa"),
        ("mailstead-ed1", "ed25519"),
    ]
    assert ensure_keys(folder, ("example.com", "example.org"))[:2] == made
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert [str(path.relative_to(folder)) for path in files] == [
        "example.com/mailstead-ed1.pem",
        "example.com/mailstead-rsa1.pem",
        "example.org/mailstead-ed1.pem",
        "example.org/mailstead-rsa1.pem",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_public_halves_are_as_the_standards_say(tmp_path: Path) -> None:
    """RFC 6376, 3.6.1 (RSA) and RFC 8463, 4 (Ed25519)."""
    first, second = ensure_keys(tmp_path / "dkim", ("example.com",))
    public = serialization.load_der_public_key(base64.b64decode(first.public))
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.key_size == 2048
    data = base64.b64decode(second.public)
    assert len(data) == 32
    pem = (tmp_path / "dkim/example.com/mailstead-ed1.pem").read_bytes()
    private = serialization.load_pem_private_key(pem, None)
    assert isinstance(private, ed25519.Ed25519PrivateKey)
    ed25519.Ed25519PublicKey.from_public_bytes(data).verify(private.sign(b"mail"), b"mail")


def test_the_keys_that_sign_are_those_whose_records_are_shown(tmp_path: Path) -> None:
    first, second = ensure_keys(tmp_path, ("example.com",))
    private = serialization.load_pem_private_key(signing_key(tmp_path, first), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    public = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert base64.b64encode(public).decode() == first.public
    seed = base64.b64decode(signing_key(tmp_path, second))
    pair = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    assert base64.b64encode(pair.public_key().public_bytes_raw()).decode() == second.public


def test_damaged_key_is_not_replaced(tmp_path: Path) -> None:
    ensure_keys(tmp_path / "dkim", ("example.com",))
    path = tmp_path / "dkim/example.com/mailstead-rsa1.pem"
    path.write_text("-----BEGIN nothing")
    with pytest.raises(StackError, match="damaged"):
        ensure_keys(tmp_path / "dkim", ("example.com",))
    assert path.read_text() == "-----BEGIN nothing"


def test_keys_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "dkim").write_text("")
    with pytest.raises(StackError, match="cannot be read") as caught:
        ensure_keys(tmp_path / "dkim", ("example.com",))
    assert "root" in caught.value.hint
