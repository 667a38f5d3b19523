import json
from ipaddress import ip_address

import pytest

from agent.boot_mode.addresses import own_addresses
from partitioning.command import Completed


def shown(*addresses: str) -> Completed:
    links = [{"ifname": "lo"}, {"ifname": "eth0", "addr_info": [{"local": each} for each in addresses]}]
    return Completed(code=0, stdout=json.dumps(links).encode(), stderr="")


def test_those_of_this_machine() -> None:
    assert all(not ip_address(address).is_loopback for address in own_addresses())


def test_ipv4_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.boot_mode.addresses.available", lambda _: True)
    monkeypatch.setattr(
        "agent.boot_mode.addresses.run", lambda *_, **__: shown("2001:db8::7", "192.0.2.8", "192.0.2.7")
    )
    assert own_addresses() == ["192.0.2.7", "192.0.2.8", "2001:db8::7"]


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[1]", b'[{"addr_info": 1}]', b'[{"addr_info": [{"local": "x"}]}]']
)
def test_what_can_not_be_understood_is_nothing(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    monkeypatch.setattr("agent.boot_mode.addresses.available", lambda _: True)
    monkeypatch.setattr(
        "agent.boot_mode.addresses.run", lambda *_, **__: Completed(code=0, stdout=text, stderr="")
    )
    assert own_addresses() == []
