from pathlib import Path

import pytest

from agent.boot_mode.kernel_command_line import parse_boot_parameters
from agent.boot_mode.server_identity import filled


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    (tmp_path / "product_serial").write_text("CZ 123/4\n")
    (tmp_path / "product_uuid").write_text("4c4c4544-0042-3510-8056-b4c04f4d3232\n")
    return tmp_path


def test_a_url_says_which_server_asks(firmware: Path) -> None:
    text, unknown = filled("http://p/{serial}/{uuid}/{serial}?a=%7Bmac%7D", firmware)
    assert text == "http://p/CZ%20123%2F4/4c4c4544-0042-3510-8056-b4c04f4d3232/CZ%20123%2F4?a=%7Bmac%7D"
    assert unknown == []


VAGUE = (
    *(
        "",
        "\n",
        "To Be Filled By O.E.M.\n",
        "Default string",
        "0",
        "0123456789",
        "123456789",
        "Not Applicable",
    ),
    *("Not Available", "N/A", "Unknown", "INVALID", "SystemSerialNumb", "System Serial Number", "........"),
    *("XXXXXXXX", "None", "Serial Number", "O.E.M.", "Chassis Serial Number", "FFFFFFFF", None),
)


@pytest.mark.parametrize(
    "uuid", ["03000200-0400-0500-0006-000700080009", "0" * 8 + "-0000-0000-0000-" + "0" * 12]
)
def test_a_uuid_that_many_boards_have_is_none(firmware: Path, uuid: str) -> None:
    (firmware / "product_uuid").write_text(uuid)
    assert filled("http://p/{uuid}", firmware) == ("http://p/{uuid}", ["uuid"])


@pytest.mark.parametrize("serial", ["CZJ0123456", "7CPQ2J3", "S452392X8930291", "MXQ51906ZX", "2M2543010T"])
def test_a_serial_number_is_one(firmware: Path, serial: str) -> None:
    (firmware / "product_serial").write_text(serial)
    assert filled("{serial}", firmware) == (serial, [])


@pytest.mark.parametrize("said", VAGUE)
def test_what_the_firmware_does_not_say_is_left(firmware: Path, said: str | None) -> None:
    serial = firmware / "product_serial"
    serial.unlink() if said is None else serial.write_text(said)
    assert filled("http://p/{serial}", firmware) == ("http://p/{serial}", ["serial"])


@pytest.mark.parametrize("name", ["serail", "mac", ""])
def test_what_is_no_name_is_not_asked_for(firmware: Path, name: str) -> None:
    assert filled(f"http://p/{{{name}}}", firmware)[1] == [name]
    (hindrance,) = parse_boot_parameters(f"byoi.request=http://p/{{{name}}}").hindrances
    assert "{serial} and {uuid} are filled in, and nothing else" in hindrance


def test_it_stands_in_all_urls_and_is_missed_in_words(
    firmware: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.boot_mode.kernel_command_line.filled", lambda text: filled(text, firmware))
    (firmware / "product_uuid").unlink()
    found = parse_boot_parameters("byoi.request=http://p/{serial} byoi.status=http://p/{uuid}")
    assert (found.request_url, found.status_url) == ("http://p/CZ%20123%2F4", None)
    assert found.faults == (
        "byoi.status: this server's firmware does not tell its uuid, so no status is posted.",
    )
