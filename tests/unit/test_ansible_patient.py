"""Asking a server that can be out of reach, while it deploys and before."""

from collections.abc import Callable

import pytest
from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure, AnsibleError
from ansible_collections.byoi.agent.plugins.plugin_utils.patient import Patient

Ask = Callable[[], str]


class Server:
    """Answers after some errors; time passes only while it is waited for."""

    def __init__(self, error: Exception, times: int) -> None:
        self._error = error
        self._left = times
        self.now = 0.0
        self.resets = 0
        self.told: list[str] = []
        self.patient = Patient(self, tell=self.told.append, clock=lambda: self.now, sleep=self._sleep)

    def ask(self) -> str:
        if not self._left:
            return "here"
        self._left -= 1
        raise self._error

    def reset(self) -> None:
        self.resets += 1

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


REFUSED = AnsibleConnectionFailure("Connection refused")
CUT = AnsibleError("failed to transfer file")
DENIED = AnsibleAuthenticationFailure("Permission denied")


@pytest.mark.parametrize("error", [REFUSED, CUT], ids=str)
def test_what_goes_on_is_followed_over_new_connections(error: Exception) -> None:
    server = Server(error, 5)
    assert server.patient.follow(server.ask, seconds=60) == "here"
    assert (server.resets, server.now) == (5, 15.0)
    assert [line.split(";")[0] for line in server.told] == [
        "The connection is lost",
        "The connection is back.",
    ]


def test_the_time_without_an_answer_ends() -> None:
    server = Server(REFUSED, 1000)
    with pytest.raises(AnsibleConnectionFailure, match="out of reach for 60 s") as caught:
        server.patient.follow(server.ask, seconds=60)
    assert "Connection refused" in str(caught.value)
    assert server.now == 60.0


def test_a_server_that_was_never_there_has_its_own_error() -> None:
    server = Server(REFUSED, 1000)
    with pytest.raises(AnsibleConnectionFailure) as caught:
        server.patient.reach(server.ask, seconds=60)
    assert caught.value is REFUSED
    assert server.now == 60.0


@pytest.mark.parametrize("error", [CUT, DENIED], ids=str)
def test_what_is_wrong_for_good_is_not_tried_again_at_first(error: Exception) -> None:
    server = Server(error, 1000)
    with pytest.raises(AnsibleError) as caught:
        server.patient.reach(server.ask, seconds=60)
    assert caught.value is error
    assert (server.now, server.told) == (0.0, [])
