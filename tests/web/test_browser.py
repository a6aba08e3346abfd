"""Whether the looks for faults see any: a page that has them all."""

from __future__ import annotations

import urllib.parse

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
