import sys
from pathlib import Path
from types import ModuleType

import pytest

from agent.own_command import own_command


def started_from(monkeypatch: pytest.MonkeyPatch, path: str | None) -> None:
    main = ModuleType("__main__")
    main.__file__ = path
    monkeypatch.setitem(sys.modules, "__main__", main)


def test_from_the_single_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "byoi-agent.pyz"
    file.touch()
    started_from(monkeypatch, f"{file}/__main__.py")
    assert own_command() == (sys.executable, str(file))


def test_from_the_single_file_by_a_relative_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "byoi-agent.pyz").touch()
    monkeypatch.chdir(tmp_path)
    started_from(monkeypatch, "byoi-agent.pyz/__main__.py")
    assert own_command() == (sys.executable, str(tmp_path / "byoi-agent.pyz"))


def test_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    launcher = tmp_path / "byoi-agent"
    launcher.touch(mode=0o755)
    started_from(monkeypatch, str(launcher))
    assert own_command() == (str(launcher),)


@pytest.mark.parametrize("path", [None, "/usr/bin/pytest", "agent/__main__.py"])
def test_otherwise(monkeypatch: pytest.MonkeyPatch, path: str | None) -> None:
    started_from(monkeypatch, path)
    assert own_command() == (sys.executable, "-m", "agent")
