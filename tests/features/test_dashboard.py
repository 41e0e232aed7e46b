"""The dashboard in a real browser: it shows what is, says which rule is missing, and is no way in for anybody else."""

import http.client
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from exitway.flows.flow import Flow
from exitway.flows.history import History
from exitway.flows.log import now
from exitway.names.call import Decision, Reason, Verdict
from exitway.web.page import files
from tests.features.browser import Page, chromium
from tests.features.conftest import EXAMPLES, eventually, running
from tests.features.ordinary import ordinary_user

pytestmark = pytest.mark.lab

MOST_BYTES = 200_000
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/#token=([\w-]{43})\n")


class Shown:
    """A running ``exitway dashboard``."""

    def __init__(self, process):
        self.process = process
        self.address = process.stdout.readline()
        found = ADDRESS.fullmatch(self.address)
        assert found, self.address
        self.port, self.token = int(found[1]), found[2]
        self.origin = f"http://127.0.0.1:{self.port}"

    def ask(self, path, *, method="GET", host=None, token=None):
        """The status and the body of an answer, asked for without a browser."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        headers = {"Host": host or f"127.0.0.1:{self.port}"} | ({"Authorization": f"Bearer {token}"} if token else {})
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read(200) if answer.headers["content-type"].startswith("text/event-stream") else answer.read()
        connection.close()
        return answer.status, body.decode()


@contextmanager
def dashboard(exitway, *options) -> Iterator[Shown]:
    with exitway.start("dashboard", "--no-open", *options) as process:
        try:
            yield Shown(process)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0


@pytest.fixture(scope="module")
def served(lab):
    with running() as exitway:
        exitway("up")
        yield exitway


@pytest.fixture(scope="module")
def shown(served):
    with dashboard(served) as one:
        yield one


@pytest.fixture(scope="module")
def browser():
    with chromium() as page:
        page.resize(1440, 900)
        yield page


@pytest.fixture
def page(browser: Page, shown: Shown) -> Iterator[Page]:
    """The dashboard as it is after it was opened. Whatever a test does with it, nothing is wrong in its console, and it asks nobody else."""
    browser.prefer(prefers_color_scheme="light")
    browser.run("location.protocol == 'http:' && (localStorage.clear(), sessionStorage.clear())")
    browser.requests.clear()
    browser.faults.clear()
    browser.open(shown.address.strip())
    live(browser)
    yield browser
    browser.run("0")  # hears what there is to hear
    assert browser.faults == []
    assert [url for url in browser.requests if not url.startswith((f"{shown.origin}/", "about:"))] == []
    assert [url for url in browser.requests if shown.token in url] == []


def live(page):
    page.until("document.body.dataset.state == 'live' && document.querySelector('#state').innerText == 'Live'")


def curl(exitway, url, name, *more):
    return exitway(
        "run", "-n", "shop", "--name", name, "--", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *more, url
    )


def row(name):
    return f"[...document.querySelectorAll('#denials-table tbody tr')].find(row => row.innerText.includes({json.dumps(name)}))"


def test_a_denial_appears_by_itself_and_its_rule_lets_it_pass(served, page, shown):
    assert curl(served, "http://httpbin.org/status/204", "checkout") == "404"
    page.until("document.querySelector('.node.destination')?.innerText.includes('httpbin.org')")
    assert page.run("document.querySelectorAll('#canvas path.denied').length") == 1
    assert "shop/checkout" in page.text("#workloads")
    assert "1 denied" in page.text(".node.destination")
    page.click("#details button:not(.icon)")
    rule = page.until("document.getElementById('rule-text').textContent")
    page.call(
        "Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"], origin=shown.origin
    )
    page.press("c")
    page.until("document.getElementById('rule-copied').innerText == 'Copied'")
    assert page.run("navigator.clipboard.readText()") == rule
    assert served.request("GET", "/exitway/v1/status")["rules"] == 0  # it was shown, and nothing was done
    served("create", "-f", "-", input=rule)
    page.press("Escape")
    assert curl(served, "http://httpbin.org/status/204", "checkout") == "204"
    page.until("document.querySelector('#canvas path.allowed')")
    page.press("3")
    page.until("document.querySelector('#rules-table')?.innerText.includes('shop/httpbin-org-80')")
    page.until("document.querySelector('#rules-table time')")  # the rule has a last use
    assert page.text("#rules-summary") == "1 rule"
    served("delete", "egressrule", "httpbin-org-80", "-n", "shop")
    page.until("document.querySelector('#rules-table').innerText.includes('There is no rule')")


def test_proxies_with_what_they_have_acknowledged(served, page):
    page.press("4")
    served("create", "-n", "shop", "-f", EXAMPLES / "egress_httpbin.yml")
    revision = served.status()["revision"]
    page.until(f"document.querySelector('#proxies-table').innerText.includes('revision {revision}')")
    page.until("document.querySelector('#proxies-table').innerText.includes('in step')")
    assert page.texts("#proxies-table thead th")[:4] == ["Proxy", "State", "Acknowledged", "Rules are at"]
    with served.start(
        "run", "-n", "shop", "--audit", "--name", "loud", "--", "sh", "-c", "echo ready; read line"
    ) as one:
        one.stdout.readline()
        page.until("document.querySelector('#running-table').innerText.includes('shop/loud')")
        assert "only recorded (audit)" in page.text("#running-table")
    page.until("document.querySelector('#running-table').innerText.includes('No workload is running')")


def test_names_and_paths_of_a_workload_are_text(served, page):
    path = "/%3Cb%3E\"><img/src=x/onerror=document.title='owned'>"
    curl(served, f"http://a.lab.test{path}", "odd", "-g", "--path-as-is")
    served.flow(workload="shop/odd")
    denied = Decision(Verdict.DENY, Reason.NO_RULE)
    name = "<img/src=x/onerror=document.title='owned'>\u202egpj.exe"  # no proxy of ours lets one through: the page does not count on it
    with closing(History(served.settings.flow_db)) as history:
        history.write([Flow(now(), "shop/<b>odd</b>", name, "240.240.0.1", 80, "TLS", denied, sni="<b>", id=10**9)])
    page.until("document.querySelector('#workloads').innerText.includes('odd</b>')")
    assert name.replace("\u202e", "\\u{202e}") in page.text("#destinations")
    assert "shop/<b>odd</b>" in page.text("#workloads")
    page.press("2")
    page.until(row("a.lab.test:80"))
    assert f"GET {path}" in page.run(f"{row('a.lab.test:80')}.innerText")
    page.until(row("SNI <b>"))
    page.run(f"{row('SNI <b>')}.querySelector('button').click()")
    assert "no rule can name" in page.until("document.getElementById('rule-note').innerText").lower()
    assert page.run("document.querySelectorAll('main img, main script, main b, dialog img').length") == 0
    assert page.run("document.title") == "Denials · Exitway"
    with pytest.raises(AssertionError, match="TrustedHTML"):  # and if the page tried to, the browser would not
        page.run("document.body.innerHTML = '<b>x</b>'")
    page.run("0")
    page.faults.clear()


def test_a_search_finds_by_all_its_words(served, page):
    curl(served, "http://b.lab.test/one", "left")
    curl(served, "http://httpbin.org:8000/two", "right")
    page.until("document.querySelectorAll('.node').length >= 4")
    page.press("/")
    page.type("RIGHT :8000")
    page.until("document.querySelectorAll('.node').length == 2")
    assert "httpbin.org" in page.text("#destinations")
    assert "shop/right" in page.text("#workloads")
    page.run("document.activeElement.blur()")
    page.press("2")
    page.until("document.querySelectorAll('#denials-table tbody tr').length == 1")
    page.press("/")
    page.type(" nowhere")
    page.until("document.querySelector('#denials-table').innerText.includes('No denial matches')")
    page.press("Escape")
    page.until("document.querySelectorAll('#denials-table tbody tr').length > 1")


def test_everything_is_reached_by_the_keyboard(served, page):
    curl(served, "http://b.lab.test/keys", "typist")
    page.until("document.querySelector('#workloads').innerText.includes('typist')")
    page.press("?")
    assert page.run("document.querySelector('dialog[open]').id") == "keys"
    page.press("Escape", "j")
    assert page.run("document.activeElement.parentElement.id") == "workloads"
    page.press("ArrowRight")
    assert page.run("document.activeElement.parentElement.id") == "destinations"
    page.press("Enter")
    assert page.run("document.activeElement.getAttribute('aria-pressed')") == "true"
    assert page.run("document.querySelectorAll('.node.far').length") > 0
    page.press("Escape")
    assert page.run("document.querySelectorAll('.node.far').length") == 0
    page.press("2", "j")
    first = page.run("document.activeElement.dataset.key")
    page.press("j", "k", "Enter")
    rule = page.until(
        "document.querySelector('dialog[open]')?.id == 'rule' && document.getElementById('rule-text').textContent"
    )
    assert re.findall(r"hosts:\n +- (\S+)", rule)[0] in page.text(f"#denials-table tr[data-key='{first}']")
    page.press("Escape")
    assert page.run("document.activeElement.dataset.key") == first  # the focus is where it was
    stops = page.run(
        "[...document.querySelectorAll('a[href], button, input, select, [tabindex=\"0\"]')].filter(one => one.checkVisibility() && one.tabIndex >= 0).map(one => one.innerText || one.getAttribute('aria-label'))"
    )
    assert all(stops)  # each has a name
    assert page.run("document.querySelectorAll('#denials-table tbody [tabindex=\"0\"]').length") == 1


def test_dark_and_light(page):
    ground = "getComputedStyle(document.body.parentElement).backgroundColor"
    light = page.run(ground)
    page.prefer(prefers_color_scheme="dark")
    dark = page.run(ground)
    assert dark != light
    page.press("t")  # light, whatever the system says
    assert page.run(ground) == light
    page.reload()
    live(page)
    assert page.run(ground) == light
    page.press("t")
    page.prefer(prefers_color_scheme="light")
    assert page.run(ground) == dark


def test_it_says_that_the_server_has_gone_and_takes_up_where_it_left(served, page):
    page.until("document.querySelector('#count-proxies').innerText == '1'")
    try:
        served.down()
        page.until(
            "document.querySelector('#banner').checkVisibility() && document.querySelector('#banner').innerText.startsWith('The server does not answer')"
        )
        assert page.text("#state") == "Not connected"
    finally:
        served("up")
    live(page)
    assert not page.run("document.querySelector('#banner').checkVisibility()")
    page.faults.clear()  # that nobody answered stands there, too
    curl(served, "http://b.lab.test/again", "back")
    page.until("document.querySelector('#workloads').innerText.includes('shop/back')")


def test_only_who_knows_the_token_is_told_anything(page, shown):
    page.run("sessionStorage.clear()")
    page.open(f"{shown.origin}/#token=wrong")
    page.until("document.querySelector('#banner').innerText.startsWith('This page has no valid token')")
    assert page.texts(".node") == []
    page.faults.clear()  # 401
    for token in (None, "wrong", shown.token[:-1]):
        for path in ("/events", "/rule?flow=1"):
            assert shown.ask(path, token=token)[0] == 401
    assert shown.ask("/events", token=shown.token)[0] == 200
    assert shown.ask("/")[0] == 200
    for path in ("/", "/events"):
        for host in ("evil.example", f"evil.example:{shown.port}", "127.0.0.1.evil.example"):
            assert shown.ask(path, host=host, token=shown.token)[0] == 403


def test_nothing_can_be_changed_through_it(served, shown):
    paths = (
        "/exitway/v1/status",
        "/apis",
        "/../status",
        "/%2e%2e/status",
        "//status",
        "/events/..",
        "/changes",
        "/workloads",
    )
    for path in paths:
        assert shown.ask(path, token=shown.token)[0] == 404
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"):
        for path in ("/", "/events", "/rule"):
            assert shown.ask(path, method=method, token=shown.token)[0] == 405
    for path in ("/rule?flow=x", "/rule?flow=99999999999999999999", "/events?since=-1", f"/events?search={'x' * 201}"):
        assert shown.ask(path, token=shown.token)[0] == 400
    assert shown.ask("/rule?flow=999999", token=shown.token)[0] == 404
    assert served.status()["workloads"] == []


def test_it_listens_on_the_loopback_alone_and_each_run_has_its_own_token(served, shown):
    sockets = subprocess.run(
        ["ss", "-Hltn", f"sport = :{shown.port}"], capture_output=True, text=True, check=True
    ).stdout
    assert [line.split()[3] for line in sockets.splitlines()] == [f"127.0.0.1:{shown.port}"]
    with dashboard(served) as other:
        assert other.token != shown.token
        assert other.ask("/events", token=shown.token)[0] == 401
    taken = served.result("dashboard", "--no-open", "--port", shown.port)
    assert (taken.returncode, taken.stdout) == (1, "")
    assert "EXW0603" in taken.stderr


def test_it_is_an_ordinary_users_as_well_whose_server_lives_in_another_network(lab):
    with ordinary_user() as one:
        one("up")
        with dashboard(one) as shown:
            assert shown.ask("/")[0] == 200
            status, told = shown.ask("/events", token=shown.token)
            assert (status, told.startswith("event: server")) == (200, True)


def test_without_a_server_it_says_so(exitway):
    answer = exitway.result("dashboard", "--no-open")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "EXW0901" in answer.stderr


def test_the_page_is_small_and_names_nobody_else():
    page = files()
    assert sum(len(file.content) for file in page.values()) < MOST_BYTES
    for name, file in page.items():
        found = set(re.findall(rb"(?:https?:)?//[\w.-]+\.\w+", file.content)) - {
            b"http://www.w3.org",
            b"http://httpbin.org",
        }
        assert not found, name


def test_a_browser_is_led_there_by_a_file_that_only_we_can_read(served, tmp_path):
    """The arguments of a process are seen by everybody on the machine: the token is in none."""
    seen = tmp_path / "seen"
    opener = tmp_path / "opener"
    opener.write_text(
        f'#!/bin/sh\nstat -c %a "${{1#file://}}" > {seen}.part; echo "$1" >> {seen}.part; cat "${{1#file://}}" >> {seen}.part; mv {seen}.part {seen}\n'
    )
    opener.chmod(0o755)
    environment = served.environment | {"DISPLAY": ":9", "BROWSER": f"{opener} %s"}
    with subprocess.Popen(served.command("dashboard"), env=environment, stdout=subprocess.PIPE, text=True) as process:
        one = Shown(process)
        mode, argument, content = eventually(lambda: seen.exists() and seen.read_text()).split("\n", 2)
        assert (mode, one.token in argument) == ("600", False)
        assert one.address.strip() in content
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert not Path(argument.strip().removeprefix("file://")).exists()
