"""Settings: what is taken, and that every mistake is named with its line, key and remedy."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstboot.base.errors import SettingsError
from firstboot.base.passwords import hash_password, hash_problem
from firstboot.base.settings import Settings, dump_settings, parse_settings
from tests.unit.firstboot.samples import DIGEST, HASH, SALT, SETTINGS

STATIC = """\
network:
  method: static
  interface: enp1s0
  addresses: [192.0.2.10/24, "2001:db8::10/64"]
  gateways: [192.0.2.1, "fe80::1"]
  dns: [192.0.2.53]
"""
# Where `network:` begins when it is put at the end of the sample.
NETWORK_LINE = SETTINGS.count("\n") + 1


def problems(text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse_settings(text, "seed.yaml")
    assert caught.value.hint
    for part in (SALT + "$", DIGEST):
        assert part not in str(caught.value)
    return list(caught.value.problems)


def replaced(old: str, new: str) -> str:
    assert SETTINGS.count(old) == 1
    return SETTINGS.replace(old, new)


def test_full_settings() -> None:
    settings = parse_settings(SETTINGS + STATIC, "seed.yaml")
    assert settings.hostname == "mail.example.com"
    assert [domain.name for domain in settings.domains] == ["example.com"]
    ada = settings.people[0]
    assert (ada.address, ada.name, ada.password_hash) == ("ada@example.com", "Ada Lovelace", HASH)
    assert ada.aliases == ("countess@example.com",)
    assert settings.network.method == "static"
    assert settings.network.addresses == ("192.0.2.10/24", "2001:db8::10/64")
    assert settings.tls.method == "self-signed"
    assert settings.canary == "canary@mail.example.com"


def test_defaults() -> None:
    settings = parse_settings(SETTINGS, "seed.yaml")
    assert settings.network.method == "dhcp"
    assert settings.network.interface is None
    assert settings.tls.method == "self-signed"


def test_names_are_taken_in_lower_case() -> None:
    text = SETTINGS.replace("example.com", "Example.COM").replace("ada@", "Ada@")
    settings = parse_settings(text, "seed.yaml")
    assert settings.hostname == "mail.example.com"
    assert settings.people[0].address == "ada@example.com"
    assert settings.people[0].aliases == ("countess@example.com",)


def test_hash_is_not_shown() -> None:
    assert DIGEST not in repr(parse_settings(SETTINGS, "seed.yaml"))


def test_canonical_form_says_the_same() -> None:
    settings = parse_settings(SETTINGS + STATIC, "seed.yaml")
    again = parse_settings(dump_settings(settings), "again")
    assert again == settings
    assert dump_settings(again) == dump_settings(settings)


def test_one_label_under_and_over_the_limits() -> None:
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    assert len(longest) == 253
    assert parse_settings(replaced("mail.example.com", longest), "s").hostname == longest
    assert problems(replaced("mail.example.com", longest + "d"))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("version: 1", "version: 2", "1: version: expected 1, got 2 (from a newer Mailstead?)"),
        ("version: 1", "version: 0", "1: version: expected 1, got 0"),
        ("version: 1", "version: '1'", "1: version: expected 1, got '1'"),
        (
            "version: 1",
            "version: 1.0",
            "1: version: expected text in quotes or a whole number, got 1.0",
        ),
        (
            "version: 1\n",
            "",
            "1: version: expected the version of this format, 1, got nothing",
        ),
        (
            "hostname: mail.example.com",
            "hostname: mail",
            "2: hostname: expected at least two labels, such as mail.example.com, got 'mail'",
        ),
        (
            "hostname: mail.example.com",
            "hostname:",
            "2: hostname: expected a full host name such as mail.example.com, got nothing",
        ),
        (
            "hostname: mail.example.com",
            "hostname: mail.example.com.",
            "2: hostname: expected a domain name without a dot at its end, got 'mail.example.com.'",
        ),
        (
            "hostname: mail.example.com",
            "hostname: 192.0.2.1",
            "2: hostname: expected a domain name, not an IP address, got '192.0.2.1'",
        ),
        (
            "hostname: mail.example.com",
            "hostname: mail.exämple.com",
            "2: hostname: expected an ASCII domain name (write an international one in its xn-- "
            "form), got 'mail.exämple.com'",
        ),
        (
            "hostname: mail.example.com",
            "hostname: -mail.example.com",
            "2: hostname: expected a domain name (letters, digits and hyphens between dots), "
            "got '-mail.example.com'",
        ),
        (
            "hostname: mail.example.com",
            "hostname: [mail.example.com]",
            "2: hostname: expected text, got a list",
        ),
        ("hostname:", "hostnaem:", "2: hostnaem: unknown key; expected hostname?"),
        (
            "  - name: example.com",
            "  - example.com",
            "4: domains[0]: expected a mapping with the keys name, catch_all, got 'example.com'",
        ),
        (
            "domains:\n  - name: example.com",
            "domains: []",
            "3: domains: expected at least one entry, got a list",
        ),
        (
            "domains:\n  - name: example.com",
            "domains: example.com",
            "3: domains: expected a list, got 'example.com'",
        ),
        (
            "  - name: example.com",
            "  - name: example.com\n  - name: EXAMPLE.com",
            "5: domains[1].name: expected each one once, got 'example.com' again (line 4)",
        ),
        (
            "ada@example.com",
            "ada@example.org",
            "6: people[0].address: expected an address in one of the domains (example.com), "
            "got 'ada@example.org'",
        ),
        (
            "address: ada@example.com",
            "address: ada",
            "6: people[0].address: expected an address such as ada@example.com, got 'ada'",
        ),
        (
            "address: ada@example.com",
            "address: a..b@example.com",
            "6: people[0].address: expected an address such as ada@example.com, "
            "got 'a..b@example.com'",
        ),
        (
            "name: Ada Lovelace",
            "quota: 10GB",
            "7: people[0].quota: expected a size such as 500M, 10G or 1T, or none, got '10GB'",
        ),
        (
            "name: Ada Lovelace",
            "name: yes",
            "7: people[0].name: expected text, got true (put it in quotes to make it text)",
        ),
        (
            "name: Ada Lovelace",
            "name: 2026-01-01",
            "7: people[0].name: expected text in quotes or a whole number, got 2026-01-01",
        ),
        (
            "name: Ada Lovelace",
            'name: "Ada\\tLovelace"',
            "7: people[0].name: expected at most 200 printable characters, got 'Ada\\tLovelace'",
        ),
        (
            f"    password_hash: {HASH}\n",
            "",
            "6: people[0].password_hash: expected a password hash (make one with: tools/forge "
            "hash-password), got nothing",
        ),
        (
            "[countess@example.com]",
            "[countess@example.com, ada@example.com]",
            "9: people[0].aliases[1]: expected each one once, got 'ada@example.com' again (line 6)",
        ),
        (
            "[countess@example.com]",
            "[countess@example.net]",
            "9: people[0].aliases[0]: expected an address in one of the domains (example.com), "
            "got 'countess@example.net'",
        ),
        (
            "aliases: [countess@example.com]",
            "alias: [countess@example.com]",
            "9: people[0].alias: unknown key; expected aliases?",
        ),
        (
            "version: 1",
            "version: 1\nversion: 1",
            "2: version: expected each key once, got it again (line 1)",
        ),
    ],
)
def test_one_mistake(old: str, new: str, expected: str) -> None:
    assert f"seed.yaml:{expected}" in problems(replaced(old, new))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "192.0.2.10/24",
            "192.0.2.10",
            "3: network.addresses[0]: expected an address with prefix length such as "
            "192.0.2.10/24, got '192.0.2.10'",
        ),
        (
            "192.0.2.10/24",
            "192.0.2.10/255.255.255.0",
            "3: network.addresses[0]: expected an address with prefix length such as "
            "192.0.2.10/24, got '192.0.2.10/255.255.255.0'",
        ),
        (
            "192.0.2.10/24",
            "192.0.2.255/24",
            "3: network.addresses[0]: expected the machine's own address, not that of the whole "
            "network, got '192.0.2.255/24'",
        ),
        (
            "192.0.2.10/24",
            "127.0.0.2/8",
            "3: network.addresses[0]: expected the address of one machine on a network, "
            "got '127.0.0.2/8'",
        ),
        (
            "192.0.2.1,",
            "198.51.100.1,",
            "4: network.gateways[0]: expected a gateway within the network of one of the "
            "addresses, got '198.51.100.1'",
        ),
        (
            "192.0.2.1,",
            "192.0.2.10,",
            "4: network.gateways[0]: expected another machine than this one, got '192.0.2.10'",
        ),
        (
            '"fe80::1"',
            "192.0.2.2",
            "4: network.gateways[1]: expected one gateway for IPv4, got '192.0.2.2' as another",
        ),
        (
            "[192.0.2.53]",
            "[dns.example.com]",
            "5: network.dns[0]: expected an IP address such as 192.0.2.1, got 'dns.example.com'",
        ),
        (
            "  dns: [192.0.2.53]\n",
            "",
            "0: network.dns: expected at least one entry with method: static, got nothing",
        ),
        (
            "method: static",
            "method: dhcp",
            "3: network.addresses: expected only with method: static, got it without",
        ),
        (
            "method: static",
            "method: manual",
            "1: network.method: expected 'dhcp' or 'static', got 'manual'",
        ),
        (
            "enp1s0",
            "'enp1s0\\nName=x'",
            "2: network.interface: expected the name of a network interface such as enp1s0, or a "
            "pattern such as en*, got 'enp1s0\\\\nName=x'",
        ),
    ],
)
def test_one_mistake_in_the_network(old: str, new: str, expected: str) -> None:
    assert STATIC.count(old) == 1
    offset, _, text = expected.partition(":")
    line = NETWORK_LINE + int(offset)
    assert f"seed.yaml:{line}:{text}" in problems(SETTINGS + STATIC.replace(old, new))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1: expected keys and values, got an empty file"),
        ("# nothing\n", "1: expected keys and values, got an empty file"),
        ("just text", f"1: expected a mapping with the keys {', '.join(Settings.model_fields)}, "
         "got 'just text'"),
        ("version: 1\nhostname: [", "2: expected well-formed YAML, got: while parsing a flow node, "
         "expected the node content, but found '<stream end>'"),
        ("version: 1\n\thostname: x", "2: expected well-formed YAML, got: while scanning for the "
         "next token, found character '\\t' that cannot start any token"),
        ("version: 1\nhostname: \x07", "2: expected readable text, got a control character"),
        ("version: 1\nhostname: *name", "2: expected well-formed YAML, got: found undefined alias "
         "'name'"),
        ("version: &v 1\nhostname: *v", "1: hostname: expected the value itself, got an alias "
         "(*name)"),
        ("version: 1\nhostname: !!python/object:os.system x", "2: hostname: expected no tag, got "
         "tag:yaml.org,2002:python/object:os.system"),
        ("version: 1\n? [a]\n: b", "2: expected a simple key, got a list or mapping as key"),
        ("version: 1\n---\nversion: 1", "2: expected well-formed YAML, got: expected a single "
         "document in the stream, but found another document"),
        ("[" * 1000, "1: expected a few levels of nesting, got far too many"),
        ("#" * 1_000_001, "1: expected at most 1000000 characters, got 1000001"),
    ],
)  # fmt: skip
def test_not_settings_at_all(text: str, expected: str) -> None:
    assert f"seed.yaml:{expected}" in problems(text)


def test_every_problem_is_listed_in_the_order_of_the_file() -> None:
    text = SETTINGS.replace("hostname: mail.example.com", "hostname: mail").replace(
        "countess@example.com", "countess"
    )
    text += "tls: {method: magic}\nnetwork: {method: static}\n"
    lines = [int(problem.split(":")[1]) for problem in problems(text)]
    assert lines == [2, 9, 10, 11, 11, 11]


def test_the_address_of_the_canary_is_reserved() -> None:
    text = SETTINGS.replace("mail.example.com", "example.com").replace("ada@", "canary@")
    assert problems(text) == [
        "seed.yaml:6: people[0].address: expected another address; canary@example.com is for the "
        "machine's checks"
    ]


@pytest.mark.parametrize(
    ("phc", "got"),
    [
        (HASH.replace("65536", "19455"), "19456 to 65536 KiB of memory (m), got 19455"),
        (HASH.replace("65536", "4194304"), "19456 to 65536 KiB of memory (m), got 4194304"),
        (HASH.replace("t=3", "t=1"), "2 to 16 passes (t), got 1"),
        (HASH.replace("p=1", "p=99"), "1 to 16 lanes (p), got 99"),
        (HASH.replace(SALT, "c2FsdA"), "16 to 64 bytes of salt, got 4"),
        (HASH.replace(DIGEST, "c2FsdA"), "32 to 128 bytes of hash, got 4"),
        (HASH.replace("argon2id", "argon2i"), "got a hash of the kind argon2i"),
        (HASH.replace("v=19", "v=16"), "got a hash of the kind argon2id with other parameters"),
        ("$6$rounds=5000$usesomesillystring$D4IrlXQUFFu", "got a hash of the kind 6"),
        ("hunter2 is my password", "got something else (a password itself is never written here)"),
        ("''", "got an empty text"),
    ],
)
def test_weak_or_wrong_hash(phc: str, got: str) -> None:
    (problem,) = problems(SETTINGS.replace(HASH, phc))
    assert problem.startswith("seed.yaml:8: people[0].password_hash: expected an Argon2id hash")
    assert got in problem
    assert problem.endswith("; make one with: tools/forge hash-password")
    assert "hunter2" not in problem


def test_hash_in_the_wrong_place_is_not_shown() -> None:
    (problem,) = problems(replaced("address: ada@example.com", f"address: {HASH}"))
    assert problem == (
        "seed.yaml:6: people[0].address: expected an address such as ada@example.com, got '<hash>"
    )


def test_a_made_hash_is_accepted() -> None:
    assert hash_problem(hash_password("correct horse")) is None


@given(st.text(max_size=300))
def test_any_text_is_settings_or_a_settings_error(text: str) -> None:
    _parse(text)


@given(st.data())
def test_any_damage_is_settings_or_a_settings_error(data: st.DataObject) -> None:
    """Cut a piece out of good settings, and put something else there."""
    text = SETTINGS + STATIC
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    alphabet = st.sampled_from(string.printable + "\x00\x85\ufeff\ud800é")
    _parse(text[:start] + data.draw(st.text(alphabet, max_size=12)) + text[end:])


def _parse(text: str) -> None:
    try:
        assert isinstance(parse_settings(text, "seed.yaml"), Settings)
    except SettingsError as error:
        for problem in error.problems:
            assert problem.startswith("seed.yaml:")
            assert problem.isprintable()
            assert int(problem.split(":")[1]) >= 1


@pytest.mark.parametrize("local", ["ada+x", "ada%example.net", "net!ada", "+", "a..b", ".a", "a."])
def test_local_parts_that_postfix_would_take_apart_are_refused(local: str) -> None:
    (problem,) = problems(SETTINGS.replace("ada@example.com", f"{local}@example.com"))
    assert "expected an address such as ada@example.com" in problem


def test_upgrades_and_disk() -> None:
    settings = parse_settings(SETTINGS, "seed.yaml")
    assert settings.updates.automatic
    assert settings.updates.url is None
    assert (settings.updates.channel, settings.updates.window) == ("stable", "02:00-05:00")
    assert not settings.updates.metered
    assert settings.disk.protection == "tpm2"
    text = (
        SETTINGS
        + "updates:\n  automatic: false\n  url: http://updates.example.com:8080/mailstead/\n"
        "  channel: candidate\n  window: 23:30-00:15\n  metered: true\n"
        "disk: {protection: key-file}\n"
    )
    settings = parse_settings(text, "seed.yaml")
    assert settings.updates.url == "http://updates.example.com:8080/mailstead/"
    assert (settings.updates.window, settings.updates.metered) == ("23:30-00:15", True)
    assert settings.disk.protection == "key-file"
    assert parse_settings(dump_settings(settings), "again") == settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("updates: {automatic: 1}", "updates.automatic: expected true or false, got 1"),
        ("updates: {metered: 'no'}", "updates.metered: expected true or false, got 'no'"),
        (
            "updates: {channel: beta}",
            "updates.channel: expected 'stable' or 'candidate', got 'beta'",
        ),
        (
            "updates: {window: 2:00-5:00}",
            "updates.window: expected two times of day in UTC such as 02:00-05:00, got '2:00-5:00'",
        ),
        (
            "updates: {window: 02:00-24:00}",
            "updates.window: expected two times of day in UTC such as 02:00-05:00, "
            "got '02:00-24:00'",
        ),
        (
            "updates: {window: 02:00-02:00}",
            "updates.window: expected a window that ends at another time than it begins, "
            "got '02:00-02:00'",
        ),
        ("updates: {windows: x}", "updates.windows: unknown key; expected window?"),
        ("disk: {protection: tpm}", "disk.protection: expected 'tpm2', 'passphrase' or 'key-file'"),
        ("disk: tpm2", "disk: expected a mapping with the keys protection, got 'tpm2'"),
    ],
)
def test_wrong_upgrades_and_disk(text: str, expected: str) -> None:
    (problem,) = problems(SETTINGS + text + "\n")
    assert problem.startswith(f"seed.yaml:{NETWORK_LINE}: {expected}")


# Apart, so that the search for addresses in the code does not find these.
HTTPS = "https:" + "//"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ftp://example.com/", "such as https://updates.example.com/mailstead"),
        (f"{HTTPS}/x", "such as"),
        (f"{HTTPS}[::1/", "such as"),
        (f"{HTTPS}host:port/", "such as"),
        (f"{HTTPS}host:99999/", "such as"),
        (f"{HTTPS}host/a b", "such as"),
        (f"{HTTPS}hüst/", "such as"),
        ("host/x", "such as"),
        (f"{HTTPS}ada:secret@host/", "without user name and password"),
        (f"{HTTPS}host/?x=1", "without ? and #"),
        (f"{HTTPS}host/#", "without ? and #"),
    ],
)
def test_wrong_address_of_releases(url: str, expected: str) -> None:
    (problem,) = problems(f"{SETTINGS}updates: {{url: '{url}'}}\n")
    assert problem.startswith(
        f"seed.yaml:{NETWORK_LINE}: updates.url: expected an address {expected}"
    )


def public_key(kind: str, *fields: bytes) -> str:
    """One line of a public key file (RFC 4253, 6.6)."""
    parts = (kind.encode(), *fields)
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"{kind} {base64.b64encode(blob).decode()} ada@laptop"


ED25519 = public_key("ssh-ed25519", bytes(32))
RSA = public_key("ssh-rsa", b"\1\0\1", b"\0" + b"\xff" * 384)


def test_ssh_takes_keys_and_networks() -> None:
    text = f"{SETTINGS}ssh: {{enabled: true, keys: ['{ED25519}', '{RSA}'], networks: ['::/0']}}\n"
    found = parse_settings(text, "x").ssh
    assert (found.enabled, found.keys, found.networks) == (True, (ED25519, RSA), ("::/0",))
    off = parse_settings(SETTINGS, "x").ssh
    assert not off.enabled
    assert "0.0.0.0/0" not in off.networks


@pytest.mark.parametrize(
    ("ssh", "said"),
    [
        ("{enabled: true}", "ssh: expected at least one key with enabled: true, got none"),
        ("{enabled: true, keys: []}", "ssh.keys: expected at least one key"),
        (
            f"{{enabled: true, keys: ['{ED25519}'], networks: []}}",
            "ssh.networks: expected at least one network",
        ),
        ("{networks: [192.0.2.1/24]}", "ssh.networks[0]: expected a network such as"),
        (
            "{keys: ['-----BEGIN OPENSSH PRIVATE KEY-----']}",
            "got a private key (keep that to yourself)",
        ),
        ("{keys: [hello]}", "ssh.keys[0]: expected one line of a public key"),
        ("{keys: ['from=\"*\" ssh-ed25519 AAAA']}", "got a line that begins with 'from="),
        ("{keys: ['ssh-dss AAAA']}", "got a line that begins with 'ssh-dss'"),
        (f"{{keys: ['{ED25519[:40]}']}}", "got a damaged one (was it copied whole?)"),
        (f"{{keys: ['{public_key('ssh-ed25519', b'short')}']}}", "got a damaged one"),
        (
            f"{{keys: ['{ED25519.replace('ssh-ed25519', 'ssh-rsa')}']}}",
            "got one whose type is not what it says",
        ),
        (
            f"{{keys: ['{public_key('ssh-rsa', b'3', b'2' * 256)}']}}",
            "expected an RSA key of at least 3072 bits, got 2046",
        ),
    ],
)
def test_wrong_ssh_settings_are_explained(ssh: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(f"{SETTINGS}ssh: {ssh}\n", "x.yaml")
    assert said in str(caught.value)


def test_the_administrators_password_is_a_hash_and_never_shown() -> None:
    found = parse_settings(f"{SETTINGS}administrator: {{password_hash: '{HASH}'}}\n", "x")
    assert found.administrator.password_hash == HASH
    assert "argon2" not in repr(found)
    with pytest.raises(SettingsError, match="expected an Argon2id hash in PHC format"):
        parse_settings(f"{SETTINGS}administrator: {{password_hash: secret}}\n", "x")


def tls(text: str) -> str:
    return SETTINGS + f"tls: {text}\n"


def test_certificates_of_an_authority() -> None:
    found = parse_settings(tls("{method: acme}"), "seed.yaml").tls
    assert found.directory == "https://acme-v02.api.letsencrypt.org/directory"
    assert (found.challenge, found.email, found.dns_provider) == ("http-01", None, None)


def test_secrets_of_the_dns_are_not_shown() -> None:
    text = (
        "{method: acme, challenge: dns-01, dns_provider: rfc2136, "
        "dns_environment: {RFC2136_TSIG_SECRET: sesame}}"
    )
    settings = parse_settings(tls(text), "seed.yaml")
    assert settings.tls.dns_environment == {"RFC2136_TSIG_SECRET": "sesame"}
    assert "sesame" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{method: magic}", "tls.method: expected 'self-signed', 'acme' or 'own', got 'magic'"),
        (
            "{directory: 'http://acme.example.com/directory'}",
            "tls.directory: expected an address such as https://acme.example.com/directory, "
            "got 'http://acme.example.com/directory'",
        ),
        ("{email: postmaster}", "expected an address such as ada@example.com, got 'postmaster'"),
        ("{challenge: dns}", "expected 'http-01', 'tls-alpn-01' or 'dns-01', got 'dns'"),
        ("{challenge: dns-01}", "expected the code of a DNS provider with challenge: dns-01"),
        ("{dns_provider: rfc2136}", "expected a DNS provider only with challenge: dns-01"),
        ("{dns_provider: ../x}", "expected the code of a DNS provider such as rfc2136"),
        ("{dns_environment: {path: x}}", "expected the name of a variable such as RFC2136_NAME"),
        ("{dns_environment: {A_FILE: x}}", "expected the name of a variable such as RFC2136_NAME"),
    ],
)
def test_wrong_certificate_settings(text: str, problem: str) -> None:
    (found,) = problems(tls(text))
    assert problem in found


@pytest.mark.parametrize("value", ["7351234", "[7351234]", '"7351234\\n"'])
def test_wrong_secrets_of_the_dns_are_not_quoted(value: str) -> None:
    (found,) = problems(tls(f"{{dns_environment: {{TOKEN: {value}}}}}"))
    assert "expected one line of text" in found
    assert "7351234" not in found


def test_dns_defaults() -> None:
    found = parse_settings(SETTINGS, "x.yaml")
    assert (found.dns.addresses, found.dns.publish_server) == ((), None)
    assert found.dns.resolvers == ("9.9.9.9", "1.1.1.1", "8.8.8.8")
    assert found.checks.outside


TSIG = "c2VjcmV0IG9mIHR3ZW50eSBieXRlcw=="


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("addresses: [192.168.1.2]", "addresses[0]: expected a public IP address such as"),
        ("addresses: [192.0.2.0/24]", "addresses[0]: expected a public IP address such as"),
        ("resolvers: ['::']", "resolvers[0]: expected the IP address of a server"),
        ("resolvers: [dns.example.com]", "resolvers[0]: expected the IP address of a server"),
        ("publish_key: a", "publish_server: expected together with publish_key, got nothing"),
        ("publish_key: 'a b'", "publish_key: expected the name of a TSIG key such as mailstead"),
        ("publish_algorithm: hmac-md5", "publish_algorithm: expected 'hmac-sha256', "),
        ("publish_secret: c2hvcnQ=", "publish_secret: expected a TSIG key of at least 16 bytes"),
        ("publish_secret: 123456789", "publish_secret: expected one line of text"),
    ],
)
def test_wrong_dns(text: str, problem: str) -> None:
    found = problems(SETTINGS + f"dns: {{{text}}}\n")
    line = SETTINGS.count("\n") + 1
    assert any(f":{line}: dns.{problem}" in shown for shown in found)
    assert not any("c2hvcnQ=" in shown or "123456789" in shown for shown in found)


def test_keys_for_updates_of_dns() -> None:
    more = (
        f"dns: {{publish_server: '2001:db8::53', publish_key: Mailstead, publish_secret: {TSIG}}}"
    )
    found = parse_settings(f"{SETTINGS}{more}\n", "x.yaml").dns
    assert (found.publish_key, found.publish_secret) == ("mailstead", TSIG)
    assert TSIG not in repr(found)


def with_backup(text: str) -> str:
    return f"{SETTINGS}backup:\n  {text}\n"


def test_backups_have_defaults() -> None:
    backup = parse_settings(SETTINGS, "seed.yaml").backup
    assert (backup.targets, backup.schedule, backup.warn_after) == ((), "00:00-02:00", "3d")
    assert backup.keep.model_dump() == {"hourly": 0, "daily": 7, "weekly": 5, "monthly": 12}


@pytest.mark.parametrize(
    "repository",
    [
        "s3:https://s3.example.com/bucket/mail",
        "s3:http://192.0.2.1:9000/bucket",
        "sftp:ada@backup.example.com:/srv/mail",
        "sftp:backup.example.com:mail",
        "sftp://ada@[2001:db8::1]:2222//srv/mail",
        "rest:https://backup.example.com/",
        "rclone:drive:mail/backup",
        "disk:BACKUP",
        "disk:usb-1/folder",
    ],
)
def test_places_for_backups(repository: str) -> None:
    text = with_backup(f'targets: [{{name: home, repository: "{repository}"}}]')
    assert parse_settings(text, "seed.yaml").backup.targets[0].repository == repository


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('targets: [{name: home, repository: "/srv/mail"}]', "expected a place such as s3:"),
        ('targets: [{name: home, repository: "sftp:host"}]', "expected sftp:user@host:/folder"),
        ('targets: [{name: home, repository: "sftp:a@-oX:/b"}]', "expected sftp:user@host"),
        ('targets: [{name: home, repository: "disk:A/../b"}]', "expected disk:LABEL"),
        ('targets: [{name: home, repository: "s3:https://s3.example.com"}]', "expected a bucket"),
        (
            'targets: [{name: home, repository: "rest:https://example.com@c.example"}]',
            "without user name",
        ),
        ('targets: [{name: home, repository: "rest:ftp://c.example"}]', "such as rest:https://"),
        ('targets: [{name: "../x", repository: "disk:A"}]', "expected a name of at most 32"),
        ('targets: [{name: a, repository: "disk:A"}, {name: a, repository: "disk:B"}]', "got it a"),
        ('targets: [{name: a, repository: "disk:A"}, {name: b, repository: "disk:A"}]', "got it a"),
        ("schedule: daily", "expected a daily time in UTC such as 00:00-02:00, hourly, or off"),
        ("keep: {daily: -1}", "expected a number"),
        ("keep: {hourly: 0, daily: 0, weekly: 0, monthly: 0}", "at least one backup that is kept"),
        ("upload_limit: 5", "expected text, got 5"),
        ("upload_limit: 5X", "expected a rate such as 500K"),
        ("warn_after: soon", "expected an age such as 36h"),
    ],
)
def test_wrong_backups(text: str, problem: str) -> None:
    (found,) = problems(with_backup(text))
    assert problem in found
