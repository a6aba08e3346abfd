"""Whether the looks for faults see any, and whether a page is waited for until it is whole."""

from __future__ import annotations

import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.web.browser import Browser

FAULTY = """<!doctype html><html><body><h1>A</h1><h1>B</h1>
<p id="x" style="color: #999; background: #fff">pale</p><p id="x">twice</p>
<input name="a"><a href="/"></a><button aria-describedby="gone">C</button>
<div style="width: 9000px">D</div></body></html>"""


def test_every_fault_is_seen(browser: Browser) -> None:
    browser.open(f"data:text/html,{urllib.parse.quote(FAULTY)}")
    faults = "\n".join(browser.faults())
    for fault in (
        'no name: <input name="a">',
        'no name: <a href="/">',
        "nothing is called gone",
        "twice: x",
        "not one main heading",
        "no language",
        "no title",
        "not one main part",
        "wider than the window",
        "inline script or style",
    ):
        assert fault in faults
    assert browser.contrast_problems() == ["2.8: pale"]


PARTS = {
    "/": (
        "text/html",
        '<link rel="stylesheet" href="/s"><script src="/j" defer></script><img src="/i">'
        '<img src="data:,">',
    ),
    "/s": ("text/css", "html { color: rgb(1, 2, 3) }"),
    "/j": ("text/javascript", "document.title = 'ran'"),
    "/i": ("image/svg+xml", '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
}


@contextmanager
def served_at_the_second_request() -> Iterator[str]:
    """PARTS, each of whose connections but the page's is broken off the first time."""
    asked = {"/"}

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, text = PARTS[self.path]
            if self.path in asked:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(text.encode())
            asked.add(self.path)

        def log_message(self, *_args: object) -> None:
            """Nothing: the test's output is no log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def test_a_page_that_was_broken_off_is_made_whole(browser: Browser) -> None:
    with served_at_the_second_request() as address:
        browser.open(address)
        assert browser.find("html").value_of_css_property("color") == "rgba(1, 2, 3, 1)"
        assert browser.driver.title == "ran"
        assert browser.find("img").size["width"] == 9
    browser.console_errors()  # Which were meant: they are read, and gone.
