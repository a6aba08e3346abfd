"""What a person does with a browser, in headless Chromium (W3C WebDriver, through chromedriver)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from firstboot.base.waiting import wait_for

SECONDS = 180.0
PHONE_WIDTH = 390
HEIGHTS = {PHONE_WIDTH: 844}
# Chromium breaks off what it loads when Docker or another test makes an interface.
_NETWORK_CHANGED = "ERR_NETWORK_CHANGED"

# Each field that somebody fills in must have a name that a screen reader says (WCAG 2.2, 1.3.1,
# 4.1.2), each page one main heading, and no page may be wider than the window (1.4.10).
_FAULTS = """
const faults = [];
const named = "input:not([type=hidden]), select, button, a, progress, svg[role=img]";
for (const field of document.querySelectorAll(named)) {
  const said = [...(field.labels ?? [])].map(label => label.textContent).join(" ")
    || field.getAttribute("aria-label") || field.textContent
    || (field.getAttribute("aria-labelledby") ?? "").split(" ")
        .map(id => document.getElementById(id)?.textContent ?? "").join(" ");
  if (!said.trim()) faults.push("no name: " + field.outerHTML);
}
for (const field of document.querySelectorAll("[aria-describedby], [aria-labelledby]"))
  for (const name of ["aria-describedby", "aria-labelledby"])
    for (const id of (field.getAttribute(name) ?? "").split(" ").filter(Boolean))
      if (!document.getElementById(id)) faults.push("nothing is called " + id);
const ids = [...document.querySelectorAll("[id]")].map(element => element.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push("twice: " + id);
if (document.querySelectorAll("h1").length !== 1) faults.push("not one main heading");
if (!document.documentElement.lang) faults.push("no language");
if (!document.title) faults.push("no title");
if (document.querySelectorAll("main").length !== 1) faults.push("not one main part");
if (document.documentElement.scrollWidth > window.innerWidth) faults.push("wider than the window");
if (document.querySelector("script:not([src]), [style], [onclick]"))
  faults.push("inline script or style");
return faults;
"""

_CONTRAST = """
const light = color => {
  const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map(value => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = element => {
  for (; element; element = element.parentElement) {
    const color = getComputedStyle(element).backgroundColor;
    if (!/, 0\\)$/.test(color)) return color;
  }
  return "rgb(255, 255, 255)";
};
const problems = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  if (!own || !element.checkVisibility()) continue;
  const pair = [light(getComputedStyle(element).color), light(ground(element))];
  const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  if (ratio < 4.5) problems.push(`${ratio.toFixed(1)}: ${element.textContent.trim()}`);
}
return problems;
"""


# Of a page that has come, a style sheet or a script may be missing: only its status says so (0 for
# a network failure: Resource Timing, 4.3). What was broken off is asked for once more.
_IS_WHOLE = """
let whole = document.readyState === "complete";
for (const part of document.querySelectorAll("link[rel=stylesheet], script[src], img[src]")) {
  const address = part.href ?? part.src;
  const last = performance.getEntriesByName(address).at(-1);
  if (last?.responseStatus || address.startsWith("data:")) continue;
  whole = false;
  if (!last || last.startTime < (part.askedAgain ?? 0)) continue;
  const again = document.createElement(part.localName);
  for (const {name, value} of part.attributes) again.setAttribute(name, value);
  again.askedAgain = performance.now();
  part.replaceWith(again);
}
return whole;
"""


@dataclass
class Browser:
    """One window; each picture of it is numbered."""

    driver: Chrome
    album: Path
    width: int
    pictures: int = 0

    def open(self, address: str) -> None:
        """Load a page with all its parts, however often the host's network changes meanwhile."""

        def is_loaded() -> bool:
            try:
                self.driver.get(address)
            except WebDriverException as error:
                if _NETWORK_CHANGED in str(error):
                    return False
                raise
            return True

        wait_for(is_loaded, what=f"the page {address}", timeout=SECONDS)
        self._wait(self._is_whole, f"all parts of the page {address}")

    @property
    def path(self) -> str:
        return "/" + str(self.driver.current_url).partition("://")[2].partition("/")[2]

    @property
    def text(self) -> str:
        """All that can be seen."""
        return str(self.find("body").text)

    def find(self, selector: str) -> WebElement:
        found: WebElement = self.driver.find_element(By.CSS_SELECTOR, selector)
        return found

    def has(self, selector: str) -> bool:
        return bool(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def fill(self, name: str, value: str) -> None:
        field = self.find(f'[name="{name}"]')
        field.clear()
        field.send_keys(value)

    def choose(self, name: str, value: str) -> None:
        """One of several answers, by its name, which is easier to hit than its circle."""
        option = self.find(f'[name="{name}"][value="{value}"]').get_attribute("id")
        self.find(f'label[for="{option}"]').click()

    def click(self, selector: str) -> None:
        """Follow a link or a button, and wait for the page that comes."""
        self._leave(lambda: self.find(selector).click())

    def press(self, *keys: str) -> None:
        """Press keys, whatever has the focus."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def press_and_wait(self, *keys: str) -> None:
        """Press keys that lead to another page."""
        self._leave(lambda: self.press(*keys))

    def tab_to(self, selector: str) -> None:
        """Press Tab until an element has the focus, as somebody without a mouse does."""
        wanted = self.find(selector)
        for _ in range(40):
            if self.focused == wanted:
                return
            self.press(Keys.TAB)
        raise AssertionError(f"{selector} cannot be reached by keyboard on {self.path}")

    @property
    def focused(self) -> WebElement:
        found: WebElement = self.driver.switch_to.active_element
        return found

    def description(self, field: WebElement) -> str:
        """What a screen reader adds to a field's name."""
        ids = (field.get_attribute("aria-describedby") or "").split()
        return " ".join(str(self.find(f'[id="{name}"]').text) for name in ids)

    def contrast_problems(self) -> list[str]:
        """Texts that are hard to read: below 4.5 to 1 (WCAG 2.2, 1.4.3)."""
        found: list[str] = self.driver.execute_script(_CONTRAST)
        return found

    def wait_for_text(self, text: str) -> None:
        self._wait(lambda: text in self.text, f"{text!r} on the page")

    def faults(self) -> list[str]:
        """What is wrong with the page for those who cannot see it all at once."""
        found: list[str] = self.driver.execute_script(_FAULTS)
        return found

    def picture(self, name: str) -> Path:
        """Take a picture of the whole page, and look for faults on the way."""
        assert self.faults() == []
        self.pictures += 1
        return self._take(f"{self.width}-{self.pictures:02}-{name}.png")

    def keep_evidence(self, test: str) -> None:
        """What the page was when a test failed, beside the pictures."""
        name = "".join(letter if letter.isalnum() else "-" for letter in test)
        self._take(f"failed-{name}.png")
        text = f"{self.driver.current_url}\n\n{self.driver.page_source}"
        (self.album / f"failed-{name}.html").write_text(text)

    def _take(self, name: str) -> Path:
        size: dict[str, Any] = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})
        clip = {"x": 0, "y": 0, "scale": 1, **_size(size["cssContentSize"], self.width)}
        taken: dict[str, str] = self.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip}
        )
        path = self.album / name
        path.write_bytes(base64.b64decode(taken["data"]))
        return path

    def add_passkey_holder(self) -> None:
        """Plug in a security key that is touched whenever it is asked (CDP, domain WebAuthn)."""
        options = {"protocol": "ctap2", "transport": "usb", "automaticPresenceSimulation": True}
        self.driver.execute_cdp_cmd("WebAuthn.enable", {})
        self.driver.execute_cdp_cmd("WebAuthn.addVirtualAuthenticator", {"options": options})

    def download_to(self, folder: Path) -> None:
        """Keep what is downloaded from now on in a folder."""
        allowed = {"behavior": "allow", "downloadPath": str(folder)}
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", allowed)

    def darken(self, *, dark: bool = True) -> None:
        """What the person has chosen for all programs: light or dark."""
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def console_errors(self) -> list[str]:
        """What the browser itself complains about, but for answers that are meant as refusals."""
        entries: list[dict[str, str]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        refused = ("status of 422", "status of 409", "status of 403", _NETWORK_CHANGED)
        return [e["message"] for e in entries if not any(code in e["message"] for code in refused)]

    def _leave(self, act: Callable[[], None]) -> None:
        before = self.find("html")
        act()

        self._wait(
            lambda: self.find("html") != before and self._is_whole(), f"a page after {self.path}"
        )

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something on a page that may go away while it is being looked at."""

        def holds() -> bool:
            with contextlib.suppress(WebDriverException):
                return condition()
            return False

        wait_for(holds, what=what, timeout=SECONDS, interval=0.05)

    def _is_whole(self) -> bool:
        return bool(self.driver.execute_script(_IS_WHOLE))


def _size(content: dict[str, float], width: int) -> dict[str, float]:
    return {"width": width, "height": min(content["height"], 4000)}


@contextlib.contextmanager
def open_browser(
    album: Path, width: int, *, here: str = "", certificate: Path | None = None
) -> Iterator[Browser]:
    """Chromium with an empty profile; it has no sandbox, since tests may run as root.

    `here`: a name that leads to this machine, whatever a name server says. `certificate`: one (PEM)
    that is good; with any other pages are shown, but get no passkeys.
    """
    options = ChromeOptions()
    options.binary_location = _program("chromium", "chromium-browser")
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(flag)
    if here:
        options.add_argument(f"--host-resolver-rules=MAP {here} 127.0.0.1")
    if certificate:
        options.add_argument(f"--ignore-certificate-errors-spki-list={_key_hash(certificate)}")
    options.add_argument(f"--window-size={max(width, 500)},{HEIGHTS.get(width, 900)}")
    options.set_capability("acceptInsecureCerts", True)
    options.set_capability("goog:loggingPrefs", {"browser": "WARNING"})
    if width in HEIGHTS:
        metrics = {"width": width, "height": HEIGHTS[width], "pixelRatio": 2.0, "touch": True}
        options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
    driver = Chrome(options=options, service=ChromeService(_program("chromedriver")))
    try:
        driver.set_page_load_timeout(SECONDS)
        yield Browser(driver, album, width)
    finally:
        driver.quit()


def _key_hash(certificate: Path) -> str:
    """The hash of a certificate's public key, as browsers pin one (RFC 7469, 2.4)."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


def _program(*names: str) -> str:
    for name in names:
        if found := shutil.which(name):
            return found
    raise AssertionError(f"{names[0]} is not there; tools/forge test web installs it")
