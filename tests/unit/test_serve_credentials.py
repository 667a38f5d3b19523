import json
import os
from pathlib import Path
from typing import Any

import pytest

from agent.errors import Refused
from agent.serve.credentials import read_credentials

SET = {"applicationKey": "a" * 16, "applicationSecret": "s3cret-s3cret-s3cret", "consumerKey": "c" * 32}


def written(folder: Path, content: str, name: str = "credentials.toml") -> Path:
    path = folder / name
    path.write_text(content)
    path.chmod(0o600)
    return path


def toml(**fields: str) -> str:
    return "".join(f'{name} = "{value}"\n' for name, value in fields.items())


def refused(path: Path) -> Refused:
    with pytest.raises(Refused) as caught:
        read_credentials(path)
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"
    return caught.value


def test_one_set(tmp_path: Path) -> None:
    found = read_credentials(written(tmp_path, toml(**SET)))
    assert [keys.application_secret for keys in found.keys] == [SET["applicationSecret"]]
    assert found.page_password is None
    assert "s3cret" not in repr(found)


def test_several_sets(tmp_path: Path) -> None:
    other = SET | {"consumerKey": "d" * 32}
    text = toml(pagePassword="long enough!") + f"[[keys]]\n{toml(**SET)}[[keys]]\n{toml(**other)}"
    found = read_credentials(written(tmp_path, text))
    assert [keys.consumer_key for keys in found.keys] == ["c" * 32, "d" * 32]
    assert found.page_password == "long enough!"


def test_json(tmp_path: Path) -> None:
    for content in (SET, {"keys": [SET]}):
        assert read_credentials(written(tmp_path, json.dumps(content), "c.json")).keys[0].consumer_key


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ({}, "keys"),
        ({"keys": []}, "keys"),
        ({"keys": [SET, SET]}, "two sets"),
        (SET | {"consumerKey": "short"}, "keys.0.consumerKey"),
        (SET | {"applicationSecret": "s3cret+s3cret+s3cret"}, "keys.0.applicationSecret"),
        (SET | {"applicationSecret": "s3cret s3cret s3cret\n"}, "keys.0.applicationSecret"),
        (SET | {"applicationSecret": 5}, "keys.0.applicationSecret"),
        ({"applicationKey": "a" * 16}, "keys.0.applicationSecret"),
        (SET | {"pagePassword": "s3cret"}, "pagePassword"),
        (SET | {"password": "s3cret"}, "password"),
        (SET | {"keys": [SET]}, "applicationKey"),
        ([], ""),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: Any, place: str) -> None:
    assert place in refused(written(tmp_path, json.dumps(content), "c.json")).detail


@pytest.mark.parametrize("text", ["{", "a = ", "[" * 100_000, "\udcff"])
def test_what_can_not_be_read(tmp_path: Path, text: str) -> None:
    for name in ("c.toml", "c.json"):
        path = tmp_path / name
        path.write_bytes(text.encode(errors="surrogateescape"))
        path.chmod(0o600)
        assert "It is not valid" in refused(path).detail


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_file_that_others_can_open(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path, toml(**SET))
    path.chmod(mode)
    found = refused(path)
    assert "Others can read or change it." in found.detail
    assert f"chmod 600 {path}" in found.hint


def test_a_file_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, toml(**SET))
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    if path.stat().st_uid == 0:
        read_credentials(path)  # root's own is anybody's
    else:
        assert "another user" in refused(path).detail


def test_no_file(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "gone").detail
    assert "regular file" in refused(Path("/dev/null")).detail
