"""The wait for the reboot into the new system, and what ends it before its time."""

from collections.abc import Iterator

import pytest
from ansible_collections.byoi.agent.plugins.plugin_utils.mounts import Verdict
from ansible_collections.byoi.agent.plugins.plugin_utils.reboot_wait import GRACE, Over, RebootWait
from ansible_collections.byoi.agent.plugins.plugin_utils.system import System

INSTALLED = Verdict(rescue=False, reason="its root file system is ext4 on /dev/vda1")
RESCUE = System("old", "rescue", Verdict(rescue=True, reason="its root file system is overlay"))
NEW = System("new", "web1", INSTALLED)
UNNAMED = System("new", "debian", INSTALLED)
AGAIN = System("other", "rescue", RESCUE.verdict)
REFUSED = "Failed to connect to the host via ssh: Connection refused"
CHANGED = "Failed to connect to the host via ssh: @@@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @@@"
UNKNOWN = "No ED25519 host key is known for 10.0.0.1 (…). Host key verification failed."


class Server:
    """Gives the answers in their order, the last one for ever; time passes only while it is waited for."""

    def __init__(self, *answers: System | str) -> None:
        self._answers: Iterator[System | str] = iter(answers)
        self._last: System | str = ""
        self.now = 0.0
        self.told: list[str] = []

    def ask(self) -> System | str:
        self._last = next(self._answers, self._last)
        return self._last

    def wait(self, timeout: float = 600) -> RebootWait:
        return RebootWait(
            boot_id="old",
            timeout=timeout,
            ask=self.ask,
            tell=self.told.append,
            clock=lambda: self.now,
            sleep=self._sleep,
        )

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


def test_the_rescue_system_is_gone_when_it_does_not_answer() -> None:
    assert Server(RESCUE, RESCUE, REFUSED).wait().until_stopped() == {"seconds": 6}


def test_the_rescue_system_is_gone_when_another_one_answers() -> None:
    assert Server(RESCUE, NEW).wait().until_stopped() == {"seconds": 3}
    assert Server(RESCUE, CHANGED).wait().until_stopped() == {"seconds": 3}


def test_a_server_that_does_not_reboot() -> None:
    with pytest.raises(Over, match="still running 30 s after it was told to reboot"):
        Server(RESCUE).wait(30).until_stopped()


def test_the_new_system_answers_after_a_while() -> None:
    server = Server(*[REFUSED] * 50, NEW)
    assert server.wait().until_started("web1") == {"seconds": 150, "boot_id": "new", "hostname": "web1"}
    assert server.told == ["Waiting for the new system: 60 s", "Waiting for the new system: 120 s"]


def test_no_host_name_was_asked_for() -> None:
    assert Server(UNNAMED).wait().until_started(None)["hostname"] == "debian"


def test_the_host_name_may_take_a_while() -> None:
    assert Server(UNNAMED, UNNAMED, NEW).wait().until_started("web1")["seconds"] == 6


def test_another_host_name_is_a_failure() -> None:
    server = Server(UNNAMED)
    with pytest.raises(Over, match=r"not called web1\.") as caught:
        server.wait().until_started("web1")
    assert "Its host name is debian" in caught.value.result["detail"]
    assert server.now == GRACE


@pytest.mark.parametrize("reason", [CHANGED, UNKNOWN])
def test_another_host_key_is_not_waited_for(reason: str) -> None:
    server = Server(REFUSED, reason)
    with pytest.raises(Over, match="host key") as caught:
        server.wait().until_started("web1")
    assert server.now == 3.0
    assert "byoi_host_keys" in caught.value.result["hint"]


@pytest.mark.parametrize("hostname", [None, "web1", "rescue"])
def test_the_rescue_system_again_is_not_waited_for(hostname: str | None) -> None:
    with pytest.raises(Over, match="started its rescue system again"):
        Server(REFUSED, AGAIN).wait().until_started(hostname)


@pytest.mark.parametrize(
    ("answer", "reason"), [(REFUSED, REFUSED), (RESCUE, "the rescue system is still running")], ids=str
)
def test_the_last_reason_is_told(answer: System | str, reason: str) -> None:
    with pytest.raises(Over, match="not answered over SSH within 60 s") as caught:
        Server(answer).wait(60).until_started("web1")
    assert caught.value.result["detail"] == f"The last try: {reason}."
    assert caught.value.result["failed"] is True
