from pathlib import Path

import pytest

from agent.boot_mode.kernel_command_line import parse_boot_parameters
from agent.boot_mode.server_identity import filled


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    (tmp_path / "product_serial").write_text("CZ 123/4\n")
    (tmp_path / "product_uuid").write_text("03000200-0400-0500-0006-000700080009\n")
    return tmp_path


def test_a_url_says_which_server_asks(firmware: Path) -> None:
    text, unknown = filled("http://p/{serial}/{uuid}/{serial}?a={mac}", firmware)
    assert text == "http://p/CZ%20123%2F4/03000200-0400-0500-0006-000700080009/CZ%20123%2F4?a={mac}"
    assert unknown == []


@pytest.mark.parametrize("said", ["", "\n", "To Be Filled By O.E.M.\n", "Default string", "0", None])
def test_what_the_firmware_does_not_say_is_left(firmware: Path, said: str | None) -> None:
    serial = firmware / "product_serial"
    serial.unlink() if said is None else serial.write_text(said)
    assert filled("http://p/{serial}", firmware) == ("http://p/{serial}", ["serial"])


def test_it_stands_in_all_urls_and_is_missed_in_words(
    firmware: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.boot_mode.kernel_command_line.filled", lambda text: filled(text, firmware))
    (firmware / "product_uuid").unlink()
    found = parse_boot_parameters(
        "byoi.request=http://p/{serial} byoi.status=http://p/s/{serial} byoi.config=http://p/{uuid}"
    )
    assert found.request_url == "http://p/CZ%20123%2F4"
    assert found.status_url == "http://p/s/CZ%20123%2F4"
    assert found.faults == ("byoi.config: this server's firmware does not tell its uuid.",)
