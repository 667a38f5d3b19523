import pytest

from agent.request.user_data import is_known_kind


@pytest.mark.parametrize(
    "user_data",
    [
        b"",
        b"\n",
        b"#!/bin/sh\n",
        b"#cloud-config\npackages: []\n",
        b"\n #cloud-config-archive\n",
        b"## template: jinja\n#cloud-config\n",
        b"Content-Type: multipart/mixed; boundary=x\n",
        b"MIME-Version: 1.0\n",
        b"#include\nhttp://h/\n",
        b"\x1f\x8b\x08\0",
        b"#ps1_sysnative\n",
    ],
)
def test_what_is_carried_out(user_data: bytes) -> None:
    assert is_known_kind(user_data)


@pytest.mark.parametrize(
    "user_data", [b"setup.sh", b"@setup.sh", b"packages: [nginx]\n", b"# a comment", b"\xff\0"]
)
def test_what_is_not(user_data: bytes) -> None:
    assert not is_known_kind(user_data)
