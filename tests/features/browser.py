"""Headless Chromium, driven by its own protocol (https://chromedevtools.github.io/devtools-protocol/): what is tested is what a person sees and presses."""

import base64
import contextlib
import itertools
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

OPTIONS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-default-apps", "--disable-extensions", "--disable-sync", "--disable-domain-reliability",
    "--no-pings", "--disable-features=Translate,OptimizationHints,MediaRouter,AutofillServerCommunication,CertificateTransparencyComponentUpdater",
    "--remote-debugging-port=0", "--remote-debugging-address=127.0.0.1",
]  # fmt: skip
KEYS = {"Enter": "\r", "Escape": "", "Tab": "", "ArrowDown": "", "ArrowUp": "", "ArrowLeft": "", "ArrowRight": ""}
CODES = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


class Page:
    """A tab. ``requests``: every URL that it asked for; ``faults``: exceptions and errors in its console."""

    def __init__(self, connection: ClientConnection, session: str) -> None:
        self._connection = connection
        self._session = session
        self._numbers = itertools.count(1)
        self.requests: list[str] = []
        self.faults: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """The result of a command; raises what the browser says is wrong."""
        number = next(self._numbers)
        self._connection.send(
            json.dumps({"id": number, "sessionId": self._session, "method": method, "params": parameters})
        )
        while True:
            message = json.loads(self._connection.recv(timeout=30))
            if message.get("id") == number and message.get("sessionId") == self._session:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self._heard(message)

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, script: str, seconds: float = 10.0) -> Any:
        """The first true value of an expression; of an element that is an empty object."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)) and value != {}:
            assert time.monotonic() < end, f"it did not come to pass: {script}\n{self.run('document.body.innerText')}"
            time.sleep(0.02)
        return value

    def text(self, selector: str) -> str:
        """What a person reads there."""
        return str(self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    def texts(self, selector: str) -> list[str]:
        """The same of all that there are."""
        return list(self.run(f"[...document.querySelectorAll({json.dumps(selector)})].map(one => one.innerText)"))

    def open(self, address: str) -> None:
        """Load a page, wholly."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)
        self.until("document.readyState == 'complete' && location.href != 'about:blank'")

    def reload(self) -> None:
        """As with F5."""
        self.run("window.before = true")
        self.call("Page.reload")
        self.until("document.readyState == 'complete' && !window.before")

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            text = KEYS.get(key, key)
            code = {"windowsVirtualKeyCode": CODES.get(key, 0), "key": key, "code": key if key in CODES else ""}
            self.call("Input.dispatchKeyEvent", type="keyDown", **code, **({"text": text} if text else {}))
            self.call("Input.dispatchKeyEvent", type="keyUp", **code)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """A click of the mouse in the middle of an element, when it is there."""
        self.until(f"document.querySelector({json.dumps(selector)}) != null")
        script = f"(() => {{const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]}})()"
        x, y = self.run(script)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def resize(self, width: int, height: int, scale: float = 1) -> None:
        """The size of the window, in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )

    def prefer(self, **features: str) -> None:
        """What the system prefers: ``prefers_color_scheme="dark"``."""
        wanted = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=wanted)

    def screenshot(self, path: Path) -> None:
        """What is seen, as a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def _heard(self, message: dict[str, Any]) -> None:
        given = message.get("params", {})
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(given["request"]["url"])
        elif message.get("method") == "Runtime.exceptionThrown":
            self.faults.append(json.dumps(given["exceptionDetails"]))
        elif message.get("method") == "Log.entryAdded" and given["entry"]["level"] == "error":
            self.faults.append(f"{given['entry']['text']} {given['entry'].get('url', '')}")


@contextmanager
def chromium() -> Iterator[Page]:
    """A browser that knows nothing yet, with one tab."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "this needs Chromium: `scripts/setup test` installs it"
    directory = tempfile.mkdtemp(prefix="chromium-")
    process = subprocess.Popen(
        [program, *OPTIONS, f"--user-data-dir={directory}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with connect(_address(process), max_size=None) as connection:
            yield _tab(connection)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.communicate()
        shutil.rmtree(directory, ignore_errors=True)


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stderr
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(r"listening on (ws://\S+)", line):
            return found[1]
    raise AssertionError("".join(said))


def _tab(connection: ClientConnection) -> Page:
    def ask(number: int, method: str, **parameters: Any) -> Any:
        connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (message := json.loads(connection.recv(timeout=30))).get("id") != number:
            pass
        return message["result"]

    target = ask(-1, "Target.createTarget", url="about:blank")["targetId"]
    return Page(connection, ask(-2, "Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
