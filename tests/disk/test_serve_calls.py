"""The three calls of a real server: deployments to files by the official client and others."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ovh
import ovh.exceptions
import pytest
import requests

from agent.serve.signature import signature
from tests.agent_process import CONFIGDRIVE, Agent, digest, request_for, with_sum
from tests.disk.conftest import serve
from tests.disk.in_process import assert_deployed
from tests.misbehaving_server import MisbehavingServer, Serve
from tests.serve_process import KEYS, NAME, Server, credentials_file, serving, wait_until_value
from tests.sha1_extension import extended
from tests.small_images import tool

NO_REBOOT = {"reboot": False}


@pytest.fixture
def open_server(tmp_path: Path) -> Iterator[Server]:
    """A server without credentials."""
    with serving(tmp_path / "run") as running:
        yield running


@pytest.fixture
def signed_server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "run", "--credentials", str(credentials_file(tmp_path))) as running:
        yield running


@pytest.fixture
def request_to_file(server: MisbehavingServer, qcow2_gpt: Path, disk: Path) -> dict[str, Any]:
    """A request that succeeds."""
    return request_for(serve(server, qcow2_gpt), disk, **with_sum(qcow2_gpt), options=NO_REBOOT)


@pytest.fixture
def slow_request(server: MisbehavingServer, qcow2_gpt: Path, disk: Path) -> dict[str, Any]:
    """A request whose download takes minutes."""
    image = qcow2_gpt.read_bytes()
    url = server.on("/slow", Serve(image, drip=len(image) // 2000, pause=0.1))
    return request_for(url, disk, options=NO_REBOOT)


def test_the_official_client(
    signed_server: Server, request_to_file: dict[str, Any], raw_gpt: Path, disk: Path
) -> None:
    client, path = signed_server.client(), signed_server.path()
    with pytest.raises(ovh.exceptions.ResourceNotFoundError):
        client.get(path)
    assert client.post(path, **request_to_file) is None
    first = client.get(path)
    assert (first["servername"], first["status"]) == (NAME, "doing")
    assert first.keys() == {"servername", "status", "message", "checksum"}
    ended = wait_until_value(lambda: client.get(path), lambda found: found["status"] != "doing", 90)
    assert (ended["status"], ended["message"]) == ("done", "done")
    assert ended["checksum"] == request_to_file["checkSum"]
    assert_deployed(disk, raw_gpt)
    assert client.delete(path) is None
    with pytest.raises(ovh.exceptions.ResourceNotFoundError):
        client.get(path)
    next_second()  # two that are equal within one have the same signature, and a replay is refused
    with pytest.raises(ovh.exceptions.ResourceNotFoundError):
        client.delete(path)


def next_second() -> None:
    time.sleep(1.01 - time.time() % 1)


def test_the_official_client_is_told_what_is_wrong(
    signed_server: Server, request_to_file: dict[str, Any]
) -> None:
    client, path = signed_server.client(), signed_server.path()
    with pytest.raises(ovh.exceptions.BadParametersError, match=r"^Bad format image, expected : qcow2"):
        client.post(path, **(request_to_file | {"type": "iso"}))
    wrong = KEYS.model_copy(update={"application_secret": "0" * 32})
    with pytest.raises(ovh.exceptions.APIError, match="Invalid signature") as caught:
        signed_server.client(wrong).get(path)
    assert caught.value.response.status_code == 403
    unknown = KEYS.model_copy(update={"application_key": "0" * 16})
    with pytest.raises(ovh.exceptions.InvalidKey):
        signed_server.client(unknown).get(path)
    other = KEYS.model_copy(update={"consumer_key": "0" * 32})
    with pytest.raises(ovh.exceptions.InvalidCredential):
        signed_server.client(other).get(path)


def test_what_is_not_signed_starts_nothing(signed_server: Server, request_to_file: dict[str, Any]) -> None:
    body = json.dumps(request_to_file).encode()
    headers = signed_server.signed("POST", body=body)
    refusals = {
        "unsigned": {"Content-Type": "application/json"},
        "old": signed_server.signed("POST", body=body, at=int(time.time()) - 100),
        "early": signed_server.signed("POST", body=body, at=int(time.time()) + 100),
        "of another method": headers | signed_server.signed("DELETE", body=body),
        "of another URL": signed_server.signed("POST", body=body, url=signed_server.image_url("other")),
        "of another body": signed_server.signed("POST", body=body + b" "),
    }
    for what, given in refusals.items():
        answer = signed_server.call("POST", data=body, headers=given)
        code = "INVALID_KEY" if what == "unsigned" else "INVALID_SIGNATURE"
        assert (answer.status_code, answer.json()["errorCode"]) == (403, code), what
    assert not (signed_server.run_directory / "status.json").exists()
    signed_server.stop()
    assert signed_server.said
    assert KEYS.application_secret not in "".join(signed_server.said)


def test_a_call_that_is_sent_once_more_is_refused(
    signed_server: Server, request_to_file: dict[str, Any]
) -> None:
    body = json.dumps(request_to_file).encode()
    headers = signed_server.signed("POST", body=body)
    assert signed_server.call("POST", data=body, headers=headers).text == "null"
    again = signed_server.call("POST", data=body, headers=headers)
    assert (again.status_code, again.json()["errorCode"]) == (403, "INVALID_SIGNATURE")
    assert "was made before" in again.json()["detail"]
    delete = signed_server.signed("DELETE")
    assert signed_server.call("DELETE", headers=delete).status_code == 200
    assert signed_server.call("DELETE", headers=delete).status_code == 403


def test_a_signature_that_was_extended_is_refused(signed_server: Server) -> None:
    """Whoever has seen that of a call can make that of one with a longer text, without the secret."""
    seen = signed_server.signed("DELETE", at=int(time.time()) - 30)
    known = f"{KEYS.application_secret}+{KEYS.consumer_key}+DELETE+{signed_server.image_url()}+"
    text, at = f"+{seen['X-Ovh-Timestamp']}", str(int(time.time()))
    body, digest_of_it = extended(
        seen["X-Ovh-Signature"][3:], text=text.encode(), before=len(known), more=f"+{at}".encode()
    )
    forged = seen | {"X-Ovh-Timestamp": at, "X-Ovh-Signature": f"$1${digest_of_it}"}
    assert (
        signature(KEYS, method="DELETE", url=signed_server.image_url(), body=body, timestamp=at)
        == forged["X-Ovh-Signature"]
    )  # so it would be taken
    for data in (body, iter([body])):
        answer = signed_server.call("DELETE", data=data, headers=forged)
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "BODY_NOT_ALLOWED")


def test_the_time_is_not_signed(signed_server: Server) -> None:
    answer = signed_server.call("GET", f"{signed_server.url}/1.0/auth/time")
    assert answer.status_code == 200
    assert abs(answer.json() - time.time()) < 5


def test_only_one_of_two_deployments_starts(open_server: Server, slow_request: dict[str, Any]) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: open_server.post(slow_request), range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
    assert open_server.status()["status"] == "doing"
    assert open_server.post(slow_request).json()["errorCode"] == "DEPLOYMENT_RUNNING"


def test_a_deployment_that_was_started_by_hand_counts(
    open_server: Server, slow_request: dict[str, Any]
) -> None:
    agent = Agent(run_directory=open_server.run_directory)
    process = agent.start(slow_request, "--service-name", NAME)
    wait_until_value(
        lambda: {"code": open_server.call("GET").status_code}, lambda found: found["code"] == 200, 30
    )
    assert open_server.post(slow_request).status_code == 409
    assert open_server.call("DELETE").text == "null"
    assert agent.wait(process).code == 143


def test_delete_stops_and_leaves_nothing(
    open_server: Server, slow_request: dict[str, Any], disk: Path
) -> None:
    before = digest(disk)
    assert open_server.post(slow_request).text == "null"
    assert open_server.call("DELETE").text == "null"
    assert open_server.call("GET").status_code == 404
    assert not (open_server.run_directory / "status.json").exists()
    assert digest(disk) == before
    assert Agent(run_directory=open_server.run_directory).run("cancel").returncode == 3


def test_delete_after_the_agent_was_killed(open_server: Server, slow_request: dict[str, Any]) -> None:
    open_server.post(slow_request)
    os.kill(int((open_server.run_directory / "lock").read_text()), signal.SIGKILL)
    found = open_server.wait_for("error")
    assert found["message"] == "The agent ended before the deployment did."
    assert open_server.call("DELETE").text == "null"
    assert open_server.call("GET").status_code == 404


def test_the_status_is_never_the_old_one(
    open_server: Server, request_to_file: dict[str, Any], slow_request: dict[str, Any]
) -> None:
    open_server.post(request_to_file)
    open_server.wait_for("done")
    assert open_server.post(slow_request).status_code == 200
    assert open_server.status()["status"] == "doing"


def test_a_deployment_goes_on_without_the_server(
    tmp_path: Path, request_to_file: dict[str, Any], raw_gpt: Path, disk: Path
) -> None:
    run = tmp_path / "run"
    with serving(run) as running:
        assert running.post(request_to_file).status_code == 200
        assert running.stop() == 0
        deadline = time.monotonic() + 60
        status = run / "status.json"
        while json.loads(status.read_text())["status"] == "doing":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert json.loads(status.read_text())["status"] == "done"
    assert_deployed(disk, raw_gpt)


def test_a_failure_is_told_as_documented(open_server: Server, request_to_file: dict[str, Any]) -> None:
    wrong = request_to_file | {"checkSum": "0" * 64, "configdrive": CONFIGDRIVE}
    assert open_server.post(wrong).text == "null"
    assert open_server.wait_for("error")["message"].startswith("Bad sha256 for downloaded file, got : ")


def test_the_log_tells_how_each_deployment_ended(
    open_server: Server, request_to_file: dict[str, Any], slow_request: dict[str, Any]
) -> None:
    said: list[str] = []

    def listen() -> None:
        assert open_server.process.stderr is not None
        for line in open_server.process.stderr:
            said.append(line)

    threading.Thread(target=listen, daemon=True).start()

    def ended(request: dict[str, Any], *, by: Callable[[], object] = lambda: None) -> str:
        """Deploy, and wait for one more line."""
        before = len(ends())
        # The lock may be held for a moment after the status has told the end.
        wait_until_value(
            lambda: {"code": open_server.post(request).status_code}, lambda found: found["code"] == 200, 30
        )
        by()
        found = wait_until_value(lambda: {"ends": ends()}, lambda found: len(found["ends"]) > before, 60)
        return str(found["ends"][before])

    def ends() -> list[str]:
        return [line for line in said if line.startswith(("The deployment", "A deployment"))]

    def kill() -> None:
        os.kill(int((open_server.run_directory / "lock").read_text()), signal.SIGKILL)

    assert ended(request_to_file) == f"The deployment of {NAME} is done.\n"
    wrong = request_to_file | {"checkSum": "0" * 64}
    assert "ended with an error: Bad sha256 for downloaded file, got : " in ended(wrong)
    assert "The agent ended before the deployment did." in ended(slow_request, by=kill)
    # Its status is erased before anybody can look.
    stopped = ended(slow_request, by=lambda: open_server.call("DELETE"))
    assert "The deployment was interrupted." in stopped or "with exit code 143;" in stopped
    assert len(ends()) == 4


def test_a_target_that_is_not_there_is_told_by_the_status(
    open_server: Server, request_to_file: dict[str, Any], tmp_path: Path
) -> None:
    nowhere = request_to_file | {"options": {"disk": str(tmp_path / "gone"), **NO_REBOOT}}
    assert open_server.post(nowhere).text == "null"
    assert open_server.wait_for("error")["message"] != "starting"


def test_no_child_is_left_over(open_server: Server, slow_request: dict[str, Any]) -> None:
    def children() -> dict[str, list[str]]:
        """Each thread's own, whichever has started them."""
        lists = Path(f"/proc/{open_server.process.pid}/task").glob("*/children")
        return {"pids": [pid for file in lists for pid in file.read_text().split()]}

    open_server.post(slow_request)
    assert children()["pids"]
    open_server.call("DELETE")
    wait_until_value(children, lambda found: not found["pids"], 20)


def test_names(tmp_path: Path, request_to_file: dict[str, Any]) -> None:
    with serving(tmp_path / "run", "--service-name", NAME) as only:
        for method in ("GET", "POST", "DELETE"):
            answer = only.call(
                method, only.image_url("other"), json=request_to_file if method == "POST" else None
            )
            assert answer.status_code == 404, method
        assert only.post(request_to_file).status_code == 200
    with serving(tmp_path / "more") as any_name:
        assert any_name.post(request_to_file, "one").status_code == 200
        assert any_name.status("one")["servername"] == "one"
        for method in ("GET", "DELETE"):
            assert any_name.call(method, any_name.image_url("two")).status_code == 404
        assert any_name.call("GET", any_name.image_url("a%0Ab")).status_code == 400
        other = request_to_file | {"options": {**request_to_file["options"], "serviceName": "two"}}
        assert any_name.post(other, "one").status_code == 400


def test_what_is_asked_for_is_what_is_done(
    open_server: Server, server: MisbehavingServer, disk: Path
) -> None:
    """Headers and user data reach the deployment, and stand in no answer."""
    server.on("/image", Serve(b"no image"))
    asked = request_for(
        server.url("/image"),
        disk,
        "raw",
        httpHeader=[{"key": "X-Token", "value": "s3cret"}],
        options=NO_REBOOT,
    )
    open_server.post(asked)
    found = open_server.wait_for("error")
    assert server.seen("/image")[0].headers["X-Token"] == "s3cret"
    left = [path.read_text() for path in open_server.run_directory.iterdir()]
    assert not [text for text in [json.dumps(found), *left] if "s3cret" in text]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
def test_no_web_page_starts_a_deployment(
    open_server: Server, request_to_file: dict[str, Any], headers: dict[str, str]
) -> None:
    given = {"Content-Type": "application/json", **headers}
    answer = open_server.call("POST", data=json.dumps(request_to_file), headers=given)
    assert answer.status_code == (415 if "Content-Type" in headers else 403)
    assert open_server.call("GET").status_code == 404


def test_what_is_no_request_is_a_json_error(open_server: Server) -> None:
    head = {"Content-Type": "application/json"}
    bodies = [b"", b"{", b"\xff\xfe{", b"[" * 200_000, b"1" * 10_000, b"null", b'"a"', b'{"a": NaN}', b"{}"]
    for body in bodies:
        answer = open_server.call("POST", data=body, headers=head)
        assert answer.status_code == 400, body[:20]
        assert answer.json().keys() == {"message", "errorCode", "httpCode", "detail", "hint"}
    assert open_server.call("GET", data=b"{}").status_code == 400
    large = {"URL": "http://a/", "type": int("9" * 4000)}
    assert open_server.call("POST", data=json.dumps(large), headers=head).status_code == 400
    for method, path, expected in (("GET", "/x", 404), ("PUT", "/1.0/auth/time", 405), ("GET", "/1.0/", 404)):
        answer = open_server.call(method, open_server.url + path)
        assert (answer.status_code, answer.json()["httpCode"][:3]) == (expected, str(expected))
    allowed = open_server.call("PATCH").headers["Allow"]
    assert allowed == "DELETE, GET, POST"


def test_a_body_that_is_too_large_is_not_read(open_server: Server) -> None:
    head = {"Content-Type": "application/json"}
    answer = requests.post(open_server.image_url(), data=bytes(20_000_000), headers=head, timeout=30)
    assert (answer.status_code, answer.json()["errorCode"]) == (413, "BODY_TOO_LARGE")
    pieces = (bytes(100_000) for _ in range(200))
    answer = requests.post(open_server.image_url(), data=pieces, headers=head, timeout=30)
    assert (answer.status_code, answer.json()["errorCode"]) == (413, "BODY_TOO_LARGE")


def test_the_largest_user_data_fits(open_server: Server, request_to_file: dict[str, Any]) -> None:
    """In the longest way that JSON has to write it."""
    asked = request_to_file | {"configdrive": {"enable": True, "userData": "\x01" * (1 << 20)}}
    text = json.dumps(asked | {"type": "iso"})
    assert len(text) > 6 << 20
    answer = open_server.call("POST", data=text, headers={"Content-Type": "application/json"})
    assert answer.json()["message"] == "Bad format image, expected : qcow2, raw."


def test_files_of_the_server_are_not_read(open_server: Server, request_to_file: dict[str, Any]) -> None:
    for more in (
        {"URL": "file:///etc/passwd"},
        {"options": {**request_to_file["options"], "mirrors": ["http://a/", "file:///etc/passwd"]}},
    ):
        answer = open_server.post(request_to_file | more)
        assert answer.status_code == 400
        assert "file URLs are not taken" in answer.json()["message"]


def test_tls(tmp_path: Path, request_to_file: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    about = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", "-nodes"]
    tool("openssl", "req", "-x509", "-newkey", "rsa:2048", *about, "-keyout", key, "-out", certificate)
    words = ["--tls-certificate", str(certificate), "--tls-key", str(key)]
    words += ["--credentials", str(credentials_file(tmp_path))]
    with serving(tmp_path / "run", *words, verify=str(certificate)) as running:
        assert running.url.startswith("https://")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        client = running.client()
        assert client.post(running.path(), **request_to_file) is None
        assert client.get(running.path())["servername"] == NAME
        assert client.delete(running.path()) is None


def test_behind_a_proxy(tmp_path: Path) -> None:
    """The URL that was signed is the one outside, whatever the proxy makes of it."""
    words = ["--credentials", str(credentials_file(tmp_path)), "--base-url", "https://byoi.example/1.0"]
    with serving(tmp_path / "run", *words) as running:
        outside = f"https://byoi.example/1.0{running.path()}"
        assert running.call("GET", headers=running.signed("GET", url=outside)).status_code == 404
        assert running.call("GET", headers=running.signed("GET")).status_code == 403


def test_an_end_in_good_order(open_server: Server) -> None:
    reader = requests.get(f"{open_server.url}/events", stream=True, timeout=30)
    lines = reader.iter_lines(chunk_size=1)
    assert next(lines) == b"retry: 1500"
    ended = threading.Event()

    def read_to_the_end() -> None:
        for _ in lines:
            pass
        ended.set()

    threading.Thread(target=read_to_the_end, daemon=True).start()
    started = time.monotonic()
    assert open_server.stop() == 0
    assert ended.wait(5)
    assert time.monotonic() - started < 5
