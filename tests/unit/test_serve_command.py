"""The command line of serve, as far as it does not come to serving."""

import json
from pathlib import Path

import pytest

from agent.cli import serve as command_module
from tests.unit.test_cli_common import CommandLine, command
from tests.unit.test_serve_credentials import SET, written

__all__ = ["command"]


@pytest.fixture(autouse=True)
def no_serving(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command_module, "serve_until_told_to_end", lambda *_: None)
    monkeypatch.setattr(command_module, "DEFAULT_CREDENTIALS", tmp_path / "default.json")


@pytest.fixture
def keys(tmp_path: Path) -> str:
    return str(written(tmp_path, json.dumps(SET), "keys.json"))


def test_without_credentials_it_listens_here_only(command: CommandLine, keys: str, tmp_path: Path) -> None:
    for address in ("0.0.0.0:0", "[::]:0", "192.0.2.1:8080"):
        said = command("serve", "--listen", address)
        assert said.code == 2
        assert "without credentials only a loopback address" in said.err
    here = command("serve", "--listen", "127.0.0.1:0")
    assert here.code == 0
    assert here.out.splitlines()[0].startswith("The calls: http://127.0.0.1:")
    assert "There are no credentials" in here.err
    assert command("serve", "--listen", "0.0.0.0:0", "--credentials", keys).code == 0
    written(tmp_path, json.dumps(SET), "default.json")
    assert command("serve", "--listen", "0.0.0.0:0").code == 0


def test_without_tls_there_is_a_warning(command: CommandLine, keys: str) -> None:
    assert "Warning: without TLS" in command("serve", "--listen", "0.0.0.0:0", "--credentials", keys).err
    assert command("serve", "--listen", "127.0.0.1:0", "--credentials", keys).err == ""


def test_what_is_wrong_is_said_before_anything_is_served(command: CommandLine, tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    for words, code in (
        (("--listen", "8080"), 2),
        (("--base-url", "byoi.example"), 2),
        (("--base-url", "https://byoi.example/?a"), 2),
        (("--base-url", "https://byoi.example"), 2),  # a proxy's calls come from anywhere
        (("--tls-key", gone), 2),
        (("--tls-certificate", gone), 3),
        (("--credentials", gone), 3),
        (("--config", gone), 3),
    ):
        said = command("serve", "--listen", "127.0.0.1:0", *words)
        assert (said.code, said.out) == (code, ""), words
        assert said.err.startswith("Error: "), words


def test_the_url_that_clients_use(command: CommandLine, keys: str) -> None:
    for given in ("https://byoi.example/a", "https://byoi.example/a/", "https://byoi.example/a/1.0"):
        said = command("serve", "--listen", "127.0.0.1:0", "--credentials", keys, "--base-url", given)
        assert said.out.startswith("The calls: https://byoi.example/a/1.0\n")


def test_a_certificate_that_is_none(command: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "certificate.pem"
    path.write_text("no certificate")
    said = command("serve", "--listen", "127.0.0.1:0", "--tls-certificate", str(path))
    assert said.code == 3
    assert "The certificate can not be used." in said.err


def test_who_can_not_look_for_credentials_is_told(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)
    said = command("serve", "--listen", "127.0.0.1:0")
    assert said.code == 3
    assert "default.json" in said.err
