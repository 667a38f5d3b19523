"""The page in a browser, with every state that a deployment can be in."""

import base64
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from agent import run_lock
from agent.deployment.steps import Step
from agent.exit_codes import ExitCode
from agent.reporting import events, status_file
from agent.reporting.status_change import apply
from agent.run_directory import RunDirectory
from agent.status import DiskStatus, Progress, Status, StepStatus
from tests.page_browser import chromium, page_at
from tests.serve_process import NAME, PASSWORD, Server, credentials_file, serving

STEPS = (Step.DISK, Step.FETCH, Step.WRITE, Step.CONFIGDRIVE, Step.VERIFY)
BEGUN = Status(
    servername=NAME,
    started_at="2026-01-01T00:00:00Z",
    steps=tuple(StepStatus(name=step) for step in STEPS),
    disk=DiskStatus(path="/dev/sda", model="Samsung PM9A3", serial="S1", size=1 << 40),
    description="Debian 12",
    checksum="ab" * 32,
)
FETCHING = apply(events.StepStarted("fetch", "Downloading the image"), BEGUN)
HALF = Progress(bytes_done=1 << 30, bytes_total=1 << 31, bytes_per_second=1 << 27, eta_seconds=8)
HOSTILE = "<img src=x onerror=alert(1)><script>alert(1)</script>"


class Deployment:
    """What a deployment leaves for others to see, step by step."""

    def __init__(self, where: RunDirectory) -> None:
        self.where = where
        self.status = BEGUN
        where.path.mkdir(exist_ok=True)

    def is_at(self, status: Status) -> None:
        self.status = status
        status_file.write(self.where.status, status)

    def tells(self, *told: events.Event) -> None:
        for event in told:
            self.status = apply(event, self.status)
        self.is_at(self.status)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(RunDirectory(tmp_path / "run"))


@pytest.fixture
def running(deployment: Deployment) -> Iterator[Deployment]:
    """One that holds its lock until the end of the test."""
    with ExitStack() as stack:
        stack.enter_context(run_lock.hold(deployment.where.lock))
        yield deployment


@pytest.fixture
def watched(deployment: Deployment) -> Iterator[Server]:
    with serving(deployment.where.path) as running:
        yield running


def test_nothing_yet(browser: Browser, watched: Server) -> None:
    with page_at(browser, watched.url) as page:
        expect(page.locator("#nothing")).to_have_text("There has been no deployment on this server yet.")
        expect(page.get_by_role("progressbar")).to_be_hidden()
        expect(page.locator("#connection")).to_have_text("Connected: this page keeps itself up to date.")


def test_a_deployment_from_the_beginning_to_the_end(
    browser: Browser, watched: Server, running: Deployment
) -> None:
    with page_at(browser, watched.url) as page:
        expect(page.locator("#nothing")).to_be_visible()
        running.is_at(FETCHING)
        expect(page.get_by_role("heading", name="Downloading the image")).to_be_visible()
        bar = page.get_by_role("progressbar", name="Downloading the image")
        expect(bar).not_to_have_attribute("value", re.compile(""))
        running.tells(events.Progressed("fetch", HALF))
        words = "1.0 GiB of 2.0 GiB (50 %), 128.0 MiB/s, 8 s left"
        expect(bar).to_have_attribute("aria-valuetext", words)
        expect(bar).to_have_attribute("value", "50")
        expect(page.locator("#pace")).to_have_text(words)
        expect(page).to_have_title(f"50 % · {NAME} · byoi-agent")
        expect(page.locator("#announcement")).to_have_text("Step 2 of 5: Downloading the image")
        step = page.get_by_role("listitem").filter(has_text="Downloading the image")
        expect(step).to_have_text("Downloading the image (in progress)")
        expect(step).to_have_attribute("aria-current", "step")
        running.tells(
            events.StepFinished("fetch", 12.0),
            events.Warned("Another disk has the same label."),
            events.StepStarted("write", "Writing the image"),
        )
        expect(step).to_have_text("Downloading the image (done, 12 s)")
        expect(page.get_by_role("heading", name="Warnings")).to_be_visible()
        expect(page.locator("#warnings li")).to_have_text(["Another disk has the same label."])
        expect(page.locator("#announcement")).to_have_text("Step 3 of 5: Writing the image")
        running.tells(events.DiskTouched(), events.Finished())
        expect(page.get_by_role("heading", name="Done")).to_be_visible()
        expect(page.locator("#disk-state")).to_have_text("The disk /dev/sda was deployed.")
        expect(page.get_by_role("progressbar")).to_be_hidden()


def test_only_steps_are_announced(browser: Browser, watched: Server, running: Deployment) -> None:
    running.is_at(FETCHING)
    with page_at(browser, watched.url) as page:
        expect(page.locator("#announcement")).to_have_text("Step 2 of 5: Downloading the image")
        page.evaluate(
            "window.said = 0; new MutationObserver(() => window.said++).observe("
            "document.getElementById('announcement'), {childList: true, characterData: true, subtree: true})"
        )
        for done in (1, 2, 3):
            more = HALF.model_copy(update={"bytes_done": done << 29})
            running.tells(events.Progressed("fetch", more))
            expect(page.get_by_role("progressbar")).to_have_attribute("value", str(25 * done))
        assert page.evaluate("window.said") == 0


def test_a_failure(browser: Browser, watched: Server, running: Deployment) -> None:
    running.is_at(apply(events.DiskTouched(), FETCHING))
    running.tells(
        events.BootPrevented(),
        events.Failed(
            "Can't write qcow2 on disk.", "sda: I/O error.", "Replace the disk.", ExitCode.WRITE_FAILED
        ),
    )
    with page_at(browser, watched.url) as page:
        failure = page.get_by_role("alert")
        for text in ("Can't write qcow2 on disk.", "sda: I/O error.", "Replace the disk."):
            expect(failure).to_contain_text(text)
        expect(failure).to_contain_text("The disk /dev/sda was changed and does not boot.")
        expect(page.get_by_role("heading", name="Failed")).to_be_visible()
        expect(page.locator("#steps li").nth(1)).to_have_text("Downloading the image (failed)")


def test_an_agent_that_was_killed(browser: Browser, watched: Server, deployment: Deployment) -> None:
    with page_at(browser, watched.url) as page:
        with run_lock.hold(deployment.where.lock):
            deployment.is_at(FETCHING)
            expect(page.get_by_role("heading", name="Downloading the image")).to_be_visible()
        expect(page.get_by_role("alert")).to_contain_text("The agent ended before the deployment did.")


def test_the_end_of_the_log(browser: Browser, watched: Server, running: Deployment) -> None:
    lines = [f"2026-01-01 partitioning.command: running: true {number}" for number in range(100)]
    running.where.log.write_text("\n".join(lines) + "\n")
    running.is_at(FETCHING)
    with page_at(browser, watched.url) as page:
        expect(page.locator("#log")).to_have_text("\n".join(lines[-20:]), use_inner_text=True)
        with running.where.log.open("a") as log:
            log.write("the last one\n")
        expect(page.locator("#log")).to_contain_text("the last one")


def test_texts_stay_texts(browser: Browser, watched: Server, running: Deployment) -> None:
    running.where.log.write_text(HOSTILE + "\n")
    running.is_at(FETCHING.model_copy(update={"servername": HOSTILE, "description": HOSTILE}))
    running.tells(events.Warned(HOSTILE), events.Failed(HOSTILE, HOSTILE, HOSTILE, ExitCode.DEFECT))
    with page_at(browser, watched.url) as page:
        expect(page.locator("#message")).to_have_text(HOSTILE)
        expect(page.locator("#image")).to_have_text(HOSTILE)
        expect(page.locator("#warnings li")).to_have_text([HOSTILE])
        assert page.locator("img, main script").count() == 0
    assert HOSTILE not in requests.get(watched.url, timeout=10).text


def test_a_connection_that_is_lost_and_found(
    browser: Browser, deployment: Deployment, running: Deployment
) -> None:
    running.is_at(FETCHING)
    with serving(deployment.where.path) as first, page_at(browser, first.url) as page:
        expect(page.get_by_role("heading", name="Downloading the image")).to_be_visible()
        first.stop()
        said = page.locator("#connection")
        expect(said).to_have_text(re.compile("^The connection is lost; what is shown may be old"))
        expect(page.get_by_role("heading", name="Downloading the image")).to_be_visible()
        running.tells(events.StepStarted("write", "Writing the image"))
        listen = first.url.removeprefix("http://")
        with serving(deployment.where.path, listen=listen):
            expect(said).to_have_text(re.compile("^Connected"), timeout=20_000)
            expect(page.get_by_role("heading", name="Writing the image")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(browser: Browser, watched: Server, running: Deployment, scheme: str) -> None:
    running.where.log.write_text("x" * 400 + "\n")
    running.is_at(FETCHING.model_copy(update={"servername": "a" * 200}))
    running.tells(events.Progressed("fetch", HALF))
    with page_at(
        browser,
        watched.url,
        viewport={"width": 320, "height": 640},
        color_scheme=scheme,
        reduced_motion="reduce",
    ) as page:
        expect(page.locator("#log")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        assert _contrasts(page) >= 4.5


# The least contrast of any text with its ground, by WCAG 2.2, 1.4.3.
_CONTRASTS = """() => {
  const light = (color) => {
    const parts = color.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (!/, 0\\)$/.test(color)) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const shown = [...document.querySelectorAll("body *")]
    .filter((each) => each.offsetParent && [...each.childNodes].some((node) => node.nodeType === 3));
  return Math.min(...shown.map((each) => {
    const both = [light(getComputedStyle(each).color), light(ground(each))].sort((a, b) => b - a);
    return (both[0] + 0.05) / (both[1] + 0.05);
  }));
}"""


def _contrasts(page: Page) -> float:
    found: float = page.evaluate(_CONTRASTS)
    return found


def test_what_a_screen_reader_finds(browser: Browser, watched: Server, running: Deployment) -> None:
    running.is_at(FETCHING)
    running.tells(events.Progressed("fetch", HALF))
    with page_at(browser, watched.url) as page:
        expect(page.get_by_role("progressbar")).to_have_attribute("value", "50")
        found = page.locator("body").aria_snapshot()
    for part in (
        f'- heading "Deployment of {NAME}" [level=1]',
        '- region "Downloading the image":',
        '- progressbar "Downloading the image"',
        '- region "Steps":',
        "- listitem: Choosing the disk (to do)",
        '- status: "Connected: this page keeps itself up to date."',
    ):
        assert part in found, found


def test_without_scripts(browser: Browser, watched: Server, running: Deployment) -> None:
    running.is_at(FETCHING)
    with page_at(browser, watched.url, java_script_enabled=False) as page:
        expect(page.locator("noscript pre")).to_contain_text(f"{NAME}: doing: Downloading the image")


def test_nothing_from_elsewhere(watched: Server) -> None:
    answer = requests.get(watched.url, timeout=10)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    names = re.findall(r"(?:src|href)=\"([^\"]*)\"", answer.text)
    assert sorted(names) == ["page/icon.svg", "page/style.css", "page/watch.js"]
    for name in names:
        assert requests.get(f"{watched.url}/{name}", timeout=10).status_code == 200
    assert requests.get(f"{watched.url}/page/index.html", timeout=10).status_code == 404
    assert requests.get(f"{watched.url}/page/..%2fpage.py", timeout=10).status_code == 404


def test_events_tell_the_full_status(watched: Server, running: Deployment) -> None:
    running.is_at(FETCHING)
    with requests.get(f"{watched.url}/events", stream=True, timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = answer.iter_lines(chunk_size=1, decode_unicode=True)
        data = next(line for line in lines if line.startswith("data: "))
    assert '"servername": "ns1.example"' in data
    assert '"steps": [' in data


def test_no_more_watch_than_there_is_room_for(watched: Server) -> None:
    with ExitStack() as stack:
        for _ in range(32):
            stack.enter_context(watching(watched.url))
        assert requests.get(f"{watched.url}/events", timeout=10).status_code == 503
        assert requests.get(watched.url, timeout=10).status_code == 200


@contextmanager
def watching(url: str) -> Iterator[None]:
    """One more who watches."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"GET /events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        assert connection.recv(12) == b"HTTP/1.1 200"
        yield


def test_the_password(browser: Browser, tmp_path: Path) -> None:
    file = credentials_file(tmp_path, pagePassword=PASSWORD)
    with serving(tmp_path / "run", "--credentials", str(file)) as running:
        for given in (None, ("a", "wrong"), ("a", "")):
            answer = requests.get(running.url, auth=given, timeout=10)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic ")
            assert requests.get(f"{running.url}/events", auth=given, timeout=10).status_code == 401
        odd = {"Authorization": "Basic " + base64.b64encode(b"\xff\xff").decode()}
        assert requests.get(running.url, headers=odd, timeout=10).status_code == 401
        words: dict[str, Any] = {"http_credentials": {"username": "any", "password": PASSWORD}}
        with page_at(browser, running.url, **words) as page:
            expect(page.locator("#connection")).to_have_text(re.compile("^Connected"))


def test_without_a_password_only_the_server_itself_sees_it(tmp_path: Path) -> None:
    file = credentials_file(tmp_path)
    with serving(tmp_path / "run", "--credentials", str(file)) as running:
        assert requests.get(running.url, timeout=10).status_code == 200
        for headers in ({"X-Forwarded-For": "192.0.2.1"}, {"Host": "byoi.example"}):
            answer = requests.get(running.url, headers=headers, timeout=10)
            assert answer.status_code == 403
            assert "pagePassword" in answer.json()["detail"]
    with serving(
        tmp_path / "run", "--credentials", str(file), "--base-url", "https://byoi.example"
    ) as proxied:
        assert requests.get(proxied.url, timeout=10).status_code == 403
