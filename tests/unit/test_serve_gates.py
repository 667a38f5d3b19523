"""Who may call: signed calls, and calls from this server itself."""

import time
from typing import Any

import pytest
from starlette.datastructures import Headers

from agent.serve.call import Call, is_loopback
from agent.serve.credentials import Credentials, Keys
from agent.serve.local_calls import LocalCalls, names_loopback
from agent.serve.refusal import CallRefused
from agent.serve.seen_signatures import SAME_AGAIN, WINDOW, SeenSignatures
from agent.serve.signature import signature
from agent.serve.signed_calls import SignedCalls
from agent.serve.steady_clock import SteadyClock

NOW = 1_700_000_000
URL = "http://server.example:8080/1.0/x?y=z"


def keys(letter: str) -> Keys:
    return Keys.model_validate(
        {"applicationKey": letter * 16, "applicationSecret": letter * 32, "consumerKey": letter * 32}
    )


KEYS, OTHERS = keys("a"), keys("b")
CREDENTIALS = Credentials(keys=(KEYS, OTHERS))


class Clock:
    def __init__(self, moment: float = NOW) -> None:
        self.moment = moment

    def __call__(self) -> float:
        return self.moment


def gate(clock: Clock | None = None, base_url: str | None = None, **more: Any) -> SignedCalls:
    clock = clock or Clock()
    seen = SeenSignatures(clock, **more)
    made = SignedCalls(CREDENTIALS, base_url, clock=Clock(clock.moment - 1000), seen=seen)
    made._clock = clock
    return made


def headers_for(
    method: str = "GET", body: bytes = b"", at: int | str = NOW, url: str = URL, by: Keys = KEYS
) -> dict[str, str]:
    signed = signature(by, method=method, url=url, body=body, timestamp=str(at))
    return {
        "host": "server.example:8080",
        "x-ovh-application": by.application_key,
        "x-ovh-consumer": by.consumer_key,
        "x-ovh-timestamp": str(at),
        "x-ovh-signature": signed,
    }


def call(
    method: str = "GET",
    headers: dict[str, str] | None = None,
    *more: tuple[str, str],
    peer: str = "127.0.0.1",
) -> Call:
    given = headers_for(method) if headers is None else headers
    raw = [(name.encode(), value.encode()) for name, value in [*given.items(), *more]]
    return Call(method=method, target="/1.0/x?y=z", scheme="http", headers=Headers(raw=raw), peer=peer)


def refusal(checked: SignedCalls | LocalCalls, made: Call, body: bytes = b"") -> str | None:
    try:
        checked.check_head(made)
        checked.check_body(made, body)
    except CallRefused as refused:
        assert refused.detail
        assert refused.hint
        assert KEYS.application_secret not in str(refused.answer())
        return refused.code
    return None


def test_each_set_of_keys_is_taken() -> None:
    for by in (KEYS, OTHERS):
        assert refusal(gate(), call("POST", headers_for("POST", b"{}", by=by)), b"{}") is None


def test_the_order_of_refusals() -> None:
    headers = headers_for() | {"x-ovh-timestamp": "x", "x-ovh-consumer": "x"}
    assert refusal(gate(), call(headers={})) == "INVALID_KEY"
    assert refusal(gate(), call(headers=headers | {"x-ovh-application": "x"})) == "INVALID_KEY"
    assert refusal(gate(), call(headers=headers)) == "INVALID_CREDENTIAL"
    mixed = headers | {"x-ovh-consumer": OTHERS.consumer_key}
    assert refusal(gate(), call(headers=mixed)) == "INVALID_CREDENTIAL"
    assert refusal(gate(), call(headers=headers | {"x-ovh-consumer": KEYS.consumer_key})) == (
        "INVALID_SIGNATURE"
    )


@pytest.mark.parametrize("name", ["application", "consumer", "timestamp", "signature"])
def test_a_header_twice_counts_as_none(name: str) -> None:
    twice = (f"x-ovh-{name}", headers_for()[f"x-ovh-{name}"])
    assert refusal(gate(), call("GET", headers_for(), twice)) is not None


@pytest.mark.parametrize("off", [-WINDOW - 1, WINDOW + 1])
def test_the_window(off: int) -> None:
    assert refusal(gate(), call(headers=headers_for(at=NOW + off))) == "INVALID_SIGNATURE"
    nearer = off - 1 if off > 0 else off + 1
    assert refusal(gate(), call(headers=headers_for(at=NOW + nearer))) is None


def test_a_number_that_is_written_otherwise_is_no_timestamp() -> None:
    for at in (f" {NOW}", f"0{NOW}.0", f"+{NOW}"):
        assert refusal(gate(), call(headers=headers_for(at=at))) == "INVALID_SIGNATURE"


def test_the_url_is_that_which_the_client_used() -> None:
    outside = "https://byoi.example/agent/1.0/x?y=z"
    signed = call(headers=headers_for(url=outside))
    assert refusal(gate(), signed) == "INVALID_SIGNATURE"
    assert refusal(gate(base_url="https://byoi.example/agent"), signed) is None
    assert refusal(gate(base_url="https://byoi.example/agent"), call()) == "INVALID_SIGNATURE"


def test_a_call_that_changes_something_is_taken_once() -> None:
    for method in ("POST", "DELETE"):
        clock = Clock()
        one = gate(clock)
        assert refusal(one, call(method)) is None
        assert refusal(one, call(method)) == "INVALID_SIGNATURE"
        clock.moment += WINDOW
        assert refusal(one, call(method)) == "INVALID_SIGNATURE"


def test_a_question_is_taken_again_for_a_moment() -> None:
    clock = Clock()
    one = gate(clock)
    assert [refusal(one, call()) for _ in range(3)] == [None] * 3
    clock.moment += SAME_AGAIN + 1
    assert refusal(one, call()) == "INVALID_SIGNATURE"


def test_a_wrong_signature_is_not_remembered() -> None:
    one = gate()
    assert refusal(one, call("POST", headers_for("POST")), b"other") == "INVALID_SIGNATURE"
    assert refusal(one, call("POST", headers_for("POST"))) is None


def test_nothing_that_was_signed_before_the_start_changes_anything() -> None:
    clock = Clock()
    started_now = SignedCalls(CREDENTIALS, None, clock=clock)
    before = headers_for("POST", at=NOW - 5)
    assert refusal(started_now, call("POST", before)) == "INVALID_SIGNATURE"
    assert refusal(started_now, call(headers=headers_for(at=NOW - 5))) is None
    assert refusal(started_now, call("POST", headers_for("POST", at=NOW - 2))) is None


def test_memory_is_bounded() -> None:
    clock = Clock()
    one = gate(clock, most=3)
    for number in range(3):
        body = b"%d" % number
        assert refusal(one, call("POST", headers_for("POST", body)), body) is None
    assert refusal(one, call("POST", headers_for("POST", b"4")), b"4") == "TOO_MANY_CALLS"
    clock.moment += 2 * WINDOW + 2
    assert refusal(one, call("POST", headers_for("POST", at=int(clock.moment)))) is None
    seen = SeenSignatures(clock, most=3)
    assert all(seen.may_ask(str(number)) for number in range(100))
    assert len(seen._asking) == 3


def test_the_clock_of_the_gate_is_the_real_one() -> None:
    gate = SignedCalls(CREDENTIALS, None, clock=SteadyClock())
    assert refusal(gate, call(headers=headers_for(at=int(time.time())))) is None


def test_a_clock_that_is_set_back_lets_no_call_pass_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = [0.0, 0.0]  # seconds by which the system's clock, and time itself, have gone on
    start, begun = time.time(), time.monotonic()
    monkeypatch.setattr(time, "time", lambda: start + moved[0])
    monkeypatch.setattr(time, "monotonic", lambda: begun + moved[1])
    gate = SignedCalls(CREDENTIALS, None, clock=SteadyClock())
    posted = call("POST", headers_for("POST", at=int(start)))
    assert refusal(gate, posted) is None
    moved[:] = [0.0, 300.0]  # five minutes have passed, and the clock was set back by as much
    assert refusal(gate, posted) == "INVALID_SIGNATURE"


def test_what_a_proxy_passes_on_is_not_from_here() -> None:
    for name in ("X-Forwarded-For", "Via", "Forwarded", "X-Real-IP"):
        passed_on = call(headers={"Host": "127.0.0.1:8080", name: "203.0.113.9"})
        with pytest.raises(CallRefused, match="not allowed"):
            LocalCalls().check_head(passed_on)
    with pytest.raises(CallRefused, match="not allowed"):
        LocalCalls().check_head(call(headers={"Host": "127.0.0.1:8080"}, peer="203.0.113.9"))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1:80", True),
        ("localhost:8080", True),
        ("LOCALHOST", True),
        ("[::1]:8080", True),
        ("[::ffff:127.0.0.1]", True),
        ("", False),
        ("localhost.evil.example", False),
        ("evil.example", False),
        ("127.0.0.1@evil.example", False),
        ("192.0.2.1", False),
        ("[", False),
        ("localhost.", False),
    ],
)
def test_names_of_the_machine_itself(host: str, expected: bool) -> None:
    assert names_loopback(host) is expected


def test_addresses_of_the_machine_itself() -> None:
    assert is_loopback("::1")
    assert not is_loopback("")
    assert not is_loopback("testclient")


LOCAL = {"host": "127.0.0.1:8080"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://127.0.0.1:8080"},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
    ],
)
def test_calls_from_here(headers: dict[str, str]) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert refusal(LocalCalls(), call(method, LOCAL | headers)) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"origin": "http://evil.example"},
        {"origin": "https://127.0.0.1:8080"},
        {"origin": "http://127.0.0.1:8081"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    ],
)
def test_calls_by_pages_of_others(headers: dict[str, str]) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert refusal(LocalCalls(), call(method, LOCAL | headers)) == "FORBIDDEN"


def test_two_hosts_are_none() -> None:
    assert refusal(LocalCalls(), call("GET", LOCAL, ("host", "evil.example"))) == "FORBIDDEN"
    assert refusal(
        LocalCalls(), call("GET", LOCAL, ("origin", "http://127.0.0.1:8080"), ("origin", "x"))
    ) == ("FORBIDDEN")


def test_a_link_may_lead_to_the_page() -> None:
    followed = LOCAL | {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert refusal(LocalCalls(), call("GET", followed)) is None
    assert refusal(LocalCalls(), call("POST", followed)) == "FORBIDDEN"
