"""The web pages on which people look after themselves, with a real directory behind them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from firstboot.base.health import answer_problem
from firstboot.base.waiting import wait_for
from postmaster.admin.sessions import Sessions
from tests.unit.postmaster import declared
from tests.unit.postmaster.harness import ADA, BOB, DEADLINE, PASSWORD, Files, Stack, may_read
from tests.unit.postmaster.pageclient import Open, PageClient, secret_on

NEW = "a new one, quite long"


@pytest.fixture
def stack(files: Files) -> Iterator[Stack]:
    """Both services; a vault is locked as soon as its session ends."""
    running = Stack(files, grace=0.05)
    yield running
    if running.running:
        running.stop()


# Signing in


def test_nobody_sees_a_page_before_the_login(shared_browse: Open) -> None:
    for path in ("/", "/app-passwords", "/password", "/recovery-code", "/sessions"):
        reply = shared_browse().ask("GET", path)
        assert (reply.status, reply.headers["location"]) == (303, "/sign-in")
    posted = shared_browse().post("/sessions/end-others", {})
    assert (posted.status, posted.headers["location"]) == (303, "/sign-in")


def test_the_address_or_an_alias_logs_in(browse: Open) -> None:
    for login in (ADA, "Countess@Example.com ", " ada@example.com"):
        assert "ada@example.com" in browse().sign_in(login, PASSWORD).words


def test_a_failure_does_not_tell_who_exists(shared_browse: Open) -> None:
    found = [
        shared_browse().sign_in(login, password)
        for login, password in (
            (ADA, "wrong"),
            ("nobody@example.com", "wrong"),
            ("canary@mail.example.com", "c0" * 32),
            ("", ""),
            (ADA, "x" * 2000),
        )
    ]
    assert {reply.status for reply in found} == {422}
    assert len({re.sub(r'value="[^"]*"| autofocus', "", reply.text) for reply in found}) == 1
    assert all("do not belong together" in reply.words for reply in found)


def test_an_app_password_does_not_log_in(ada: PageClient, browse: Open) -> None:
    made = ada.send(
        "/app-passwords/new",
        {"label": "x", "scope": ["mail", "send", "dav"], "password": PASSWORD},
    )
    assert "do not belong together" in browse().sign_in(ADA, secret_on(made)).words


def test_cookies_are_kept_to_the_host_and_from_scripts(browse: Open) -> None:
    browser = browse()
    first = browser.ask("GET", "/sign-in")
    fields = {"form": browser.token("/sign-in"), "address": ADA, "password": PASSWORD}
    reply = browser.post("/sign-in", fields)
    session = [cookie for cookie in reply.cookies if cookie.startswith("__Host-session=")]
    assert len(session) == 1
    for cookie in (*first.cookies, *session):
        assert cookie.startswith("__Host-")
        parts = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "secure", "samesite=strict", "path=/"} <= parts
        assert not any(part.startswith("domain") for part in parts)


def test_a_login_takes_a_new_token(browse: Open) -> None:
    browser = browse()
    browser.cookies["__Host-session"] = "chosen-by-somebody-else"
    browser.sign_in(ADA, PASSWORD)
    assert browser.cookies["__Host-session"] != "chosen-by-somebody-else"
    before = browser.cookies["__Host-session"]
    fields = {"form": browser.token("/"), "address": BOB, "password": PASSWORD}
    assert browser.post("/sign-in", fields).status == 303
    assert browser.cookies["__Host-session"] != before
    assert BOB in browser.open("/").words
    browser.cookies["__Host-session"] = before
    assert "Sign in" in browser.open("/").text


def test_signing_out_ends_the_session(ada: PageClient) -> None:
    kept = ada.cookies["__Host-session"]
    assert "Sign in" in ada.send("/", {}, to="/sign-out").text
    ada.cookies["__Host-session"] = kept
    assert ada.ask("GET", "/").status == 303


# Changes


def test_an_app_password_is_made_used_and_revoked(ada: PageClient, stack: Stack) -> None:
    made = ada.send(
        "/app-passwords/new", {"label": "Telephone <1>", "scope": "mail", "password": PASSWORD}
    )
    password = secret_on(made)
    assert "Telephone &lt;1&gt;" in made.text
    picture = re.search(r'src="(data:image/svg\+xml[^"]+)"', made.text)
    assert picture
    assert may_read(stack, password)
    listed = ada.open("/app-passwords")
    assert "Telephone <1>" in listed.words
    assert password not in listed.text
    name = re.search(r'name="id" value="(\w+)"', listed.text)
    assert name
    done = ada.send("/app-passwords", {"id": name[1]}, to="/app-passwords/revoke")
    assert "is taken away" in done.words
    assert not may_read(stack, password)
    # Once more, as somebody with two windows does.
    assert "taken away" in ada.send("/", {"id": name[1]}, to="/app-passwords/revoke").words


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "wrong"}, "not your password"),
        ({"label": ""}, "1 to 60"),
        ({"label": "x" * 61}, "1 to 60"),
        ({"label": "a\nb"}, "1 to 60"),
        ({"scope": []}, "at least one"),
        ({"scope": "root"}, "at least one"),
    ],
    ids=["password", "no-label", "long-label", "lines", "no-scope", "odd-scope"],
)
def test_no_app_password_is_made_of_nonsense(
    somebody: PageClient, change: dict[str, str], said: str
) -> None:
    fields = {"label": "x", "scope": "mail", "password": PASSWORD} | change
    reply = somebody.send("/app-passwords/new", fields)
    assert (reply.status, said in reply.words) == (422, True)
    assert "There are none yet" in somebody.open("/app-passwords").words


def test_the_password_is_changed_and_other_browsers_are_out(
    ada: PageClient, browse: Open, stack: Stack
) -> None:
    other = browse()
    other.sign_in(ADA, PASSWORD)
    bob = browse()
    bob.sign_in(BOB, PASSWORD)
    fields = {"password": PASSWORD, "new": NEW, "again": NEW}
    assert "is changed" in ada.send("/password", fields).words
    assert "is changed" not in ada.open("/").words
    assert other.ask("GET", "/").status == 303
    assert bob.ask("GET", "/").status == 200
    assert may_read(stack, NEW)
    assert not may_read(stack, PASSWORD)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "wrong"}, "neither your password nor"),
        ({"new": "short", "again": "short"}, "at least 10"),
        ({"again": "another one, longer"}, "another one than above"),
        ({"new": "x" * 1025, "again": "x" * 1025}, "Too long"),
        ({"new": "tab\tin the midst", "again": "tab\tin the midst"}, "cannot be seen"),
    ],
    ids=["wrong", "short", "differs", "long", "tab"],
)
def test_a_password_that_will_not_do_changes_nothing(
    somebody: PageClient, still_reads: Callable[[], None], change: dict[str, str], said: str
) -> None:
    fields = {"password": PASSWORD, "new": NEW, "again": NEW} | change
    reply = somebody.send("/password", fields)
    assert (reply.status, said in reply.words) == (422, True)
    assert NEW not in reply.text
    still_reads()


def test_the_recovery_code_opens_what_a_forgotten_password_closed(
    ada: PageClient, stack: Stack
) -> None:
    stack.deliver(b"Subject: x\r\n\r\nbody\r\n")
    assert "not your password" in ada.send("/recovery-code", {"password": "wrong"}).words
    code = secret_on(ada.send("/recovery-code", {"password": PASSWORD}))
    assert code not in ada.open("/recovery-code").text
    assert "you have one" in ada.open("/").words
    fields = {"password": code, "new": NEW, "again": NEW}
    assert "is changed" in ada.send("/password", fields).words
    with stack.imap(ADA, NEW) as client:
        assert client.select()[1] == [b"1"]


def test_a_forgotten_password_is_replaced_by_the_recovery_code(
    ada: PageClient, browse: Open, stack: Stack
) -> None:
    code = secret_on(ada.send("/recovery-code", {"password": PASSWORD}))
    fields = {"address": "countess@example.com", "code": code.upper(), "new": NEW, "again": NEW}
    for change, said in (
        ({"code": code[:-1]}, "do not belong together"),
        ({"code": ""}, "do not belong together"),
        ({"address": "nobody@example.com"}, "do not belong together"),
        ({"address": BOB}, "do not belong together"),
        ({"new": "short", "again": "short"}, "at least 10"),
        ({"again": "another one, longer"}, "another one than above"),
    ):
        reply = browse().send("/forgotten", fields | change)
        assert (reply.status, said in reply.words) == (422, True), change
        assert not re.search(re.escape(code), reply.text, re.IGNORECASE)
    assert ada.ask("GET", "/").status == 200
    assert "The password is set" in browse().send("/forgotten", fields).words
    assert ada.ask("GET", "/").status == 303
    assert may_read(stack, NEW)
    assert not may_read(stack, PASSWORD)


def test_a_password_that_is_changed_elsewhere_ends_the_session(
    ada: PageClient, stack: Stack
) -> None:
    ada.send("/recovery-code", {"password": PASSWORD})
    assert ada.ask("GET", "/").status == 200
    request = b'{"op": "reset", "person": "ada@example.com", "new": "set by the machine"}'
    assert stack.control(request)["ok"]
    assert ada.ask("GET", "/").status == 303


def test_mail_from_before_a_reset_is_opened_by_the_password_of_then(
    ada: PageClient, stack: Stack
) -> None:
    stack.deliver(b"Subject: x\r\n\r\nbody\r\n")
    assert ada.ask("GET", "/sealed-mail").status == 303
    # Before that the machine can still set a password without anything being sealed.
    ada.send("/recovery-code", {"password": PASSWORD})
    request = {"op": "reset", "person": ADA, "new": NEW}
    assert stack.control(json.dumps(request).encode()) == {"ok": True, "sealed": True}
    assert "still sealed" in ada.sign_in(ADA, NEW).words
    reply = ada.send("/sealed-mail", {"secret": NEW})
    assert (reply.status, "opens none" in reply.words) == (422, True)
    assert ada.send("/sealed-mail", {"secret": ""}).status == 422
    done = ada.send("/sealed-mail", {"secret": PASSWORD}).words
    assert "It is open" in done
    assert "still sealed" not in done

    def moved() -> bool:
        with stack.imap(ADA, NEW) as client:
            return client.select()[1] == [b"1"]

    wait_for(moved, what="the old mail", timeout=DEADLINE, interval=0.05)


# Sessions


def test_sessions_are_listed_and_ended(ada: PageClient, browse: Open) -> None:
    others = [browse() for _ in range(3)]
    for number, other in enumerate(others):
        other.client = f"192.0.2.{100 + number}"
        other.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux) Gecko Firefox/140.0"
        other.sign_in(ADA, PASSWORD)
    stranger = browse()
    stranger.sign_in(BOB, PASSWORD)
    page = ada.open("/sessions")
    assert all(f"192.0.2.{number}" in page.words for number in (7, 100, 101, 102))
    assert page.words.count("Firefox, Linux") == 3
    assert page.words.count("this browser") == 1
    names = re.findall(r'name="id" value="(\w+)"', page.text)
    assert len(names) == 3
    # Nobody ends another's.
    stranger.send("/sessions", {"id": names[0]}, to="/sessions/end")
    assert [other.ask("GET", "/").status for other in others] == [200, 200, 200]
    assert "is signed out" in ada.send("/sessions", {"id": names[0]}, to="/sessions/end").words
    assert sorted(other.ask("GET", "/").status for other in others) == [200, 200, 303]
    ada.send("/sessions", {}, to="/sessions/end-others")
    assert [other.ask("GET", "/").status for other in others] == [303, 303, 303]
    assert ada.ask("GET", "/").status == stranger.ask("GET", "/").status == 200


# What a page is

PATHS = (
    "/",
    "/app-passwords",
    "/app-passwords/new",
    "/forwarding",
    "/password",
    "/recovery-code",
    "/second-factor",
    "/second-factor/app",
    "/sessions",
    "/storage",
)
OTHERS = ("/sign-in", "/forgotten", "/nothing", "/style.css", "/icon.svg")


@pytest.mark.parametrize("path", [*PATHS, *OTHERS])
def test_every_answer_is_strict(somebody: PageClient, path: str) -> None:
    reply = somebody.ask("GET", path)
    policy = dict(
        part.strip().split(" ", 1) for part in reply.headers["content-security-policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert reply.headers["x-content-type-options"] == "nosniff"
    kept = "max-age=3600" if "." in path else "no-store"
    assert reply.headers["cache-control"] == kept
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|https?://", reply.text) or path in {
        "/",
        "/icon.svg",
    }
    assert "server" not in reply.headers


def test_the_style_is_that_of_the_release(somebody: PageClient) -> None:
    found = re.search(r'href="(/style\.css\?(\w+))"', somebody.open("/").text)
    assert found
    style = somebody.ask("GET", found[1])
    assert (style.status, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert hashlib.sha256(style.text.encode()).hexdigest().startswith(found[2])


@pytest.mark.parametrize("language", ["en", "zh-CN,zh;q=0.9,en;q=0.5"])
def test_every_page_is_in_the_language_that_is_asked_for(
    somebody: PageClient, language: str
) -> None:
    somebody.headers["Accept-Language"] = language
    for path in (*PATHS, "/forgotten", "/nothing"):
        reply = somebody.ask("GET", path)
        chinese = re.search(r"[\u4e00-\u9fff]", reply.words.replace("中文", ""))
        assert bool(chinese) == language.startswith("zh"), path
        assert (reply.text.count("<h1>"), reply.text.count("<main")) == (1, 1)
        assert f'lang="{"zh-Hans" if chinese else "en"}"' in reply.text


def test_the_switch_of_languages_is_remembered(shared_browse: Open) -> None:
    browser = shared_browse()
    reply = browser.send("/sign-in", {"language": "zh", "back": "/sign-in"}, to="/language")
    assert "登录" in reply.words
    assert "登录" in browser.open("/sign-in").words
    for back in ("//elsewhere.example", "https://elsewhere.example", "/\\elsewhere.example", ""):
        fields = {"form": browser.token("/sign-in"), "language": "en", "back": back}
        assert browser.post("/language", fields).headers["location"] == "/"


# Forms that are not ours


@pytest.mark.parametrize(
    ("fields", "headers", "status"),
    [
        ({"form": "0" * 64}, {}, 403),
        ({"form": ""}, {}, 403),
        ({}, {"Origin": "https://elsewhere.example"}, 403),
        ({}, {"Origin": "null"}, 403),
        ({}, {"Sec_Fetch_Site": "cross-site"}, 403),
        ({}, {"Sec_Fetch_Site": "same-site"}, 403),
        ({}, {"Content_Type": "application/json"}, 415),
        ({}, {"Content_Type": "multipart/form-data"}, 415),
        ({"x": "y" * 20_000}, {}, 413),
        ({f"x{number}": "" for number in range(80)}, {}, 400),
        ({"new": "\udcff".encode("utf-8", "surrogateescape").decode("latin-1")}, {}, 422),
    ],
    ids=[
        "token",
        "none",
        "origin",
        "null",
        "cross",
        "sibling",
        "json",
        "multipart",
        "long",
        "many",
        "odd",
    ],
)
def test_forms_of_other_sites_are_refused(
    somebody: PageClient,
    still_reads: Callable[[], None],
    fields: dict[str, str],
    headers: dict[str, str],
    status: int,
) -> None:
    good = {"form": somebody.token("/password"), "password": PASSWORD, "new": NEW, "again": NEW}
    reply = somebody.post("/password", good | fields, **headers)
    assert reply.status == status
    still_reads()


def test_a_token_of_another_browser_is_none(ada: PageClient, browse: Open) -> None:
    stranger = browse()
    stranger.sign_in(BOB, PASSWORD)
    fields = {"form": stranger.token("/"), "id": "x"}
    assert ada.post("/sessions/end", fields).status == 403


def test_a_login_needs_a_token_too(shared_browse: Open) -> None:
    assert shared_browse().post("/sign-in", {"address": ADA, "password": PASSWORD}).status == 403


# Troubles


def test_without_the_directory_there_is_a_page_that_says_so(ada: PageClient, stack: Stack) -> None:
    stack.stop_directory()
    reply = ada.ask("GET", "/")
    assert (reply.status, "does not answer" in reply.words) == (503, True)
    del ada.cookies["__Host-session"]
    assert ada.sign_in(ADA, PASSWORD).status == 503


def test_a_defect_has_a_page_and_a_line_that_quote_nothing(
    ada: PageClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("hunter2")

    monkeypatch.setattr(Sessions, "of", fail)
    reply = ada.ask("GET", "/sessions")
    assert (reply.status, "a defect of the machine" in reply.words) == (500, True)
    assert reply.headers["cache-control"] == "no-store"
    assert "kind=RuntimeError" in caplog.text
    assert "hunter2" not in reply.text + caplog.text


def test_it_answers_whoever_asks_for_its_health(shared_browse: Open) -> None:
    (exchange,) = declared.health("admin")
    assert answer_problem("127.0.0.1", replace(exchange, port=shared_browse().port)) is None


def test_odd_requests_get_an_answer(somebody: PageClient) -> None:
    for method, path, status in (
        ("DELETE", "/", 405),
        ("POST", "/", 405),
        ("GET", "/sessions/end", 405),
        ("GET", "/%00", 404),
        ("GET", "/static/../app.py", 404),
        ("GET", "/password/", 404),
        ("HEAD", "/sign-in", 303),
    ):
        assert somebody.ask(method, path).status == status, path
    somebody.cookies["__Host-session"] = base64.b64encode(b"\xff" * 90).decode()
    assert somebody.ask("GET", "/").status == 303
