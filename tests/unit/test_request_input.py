import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.cli import request_input
from agent.cli.request_flags import RequestFlags
from agent.cli.request_input import read_request
from agent.errors import RequestError
from agent.request.model import Request
from configdrive.iso import read_iso
from tests.agent_process import SSH_KEY
from tests.unit.test_images_common import plan_for
from tests.unit.test_request_common import BASE, SECRET, everything_said, value_at

OTHER_KEY = SSH_KEY.replace("admin@example", "other")
NONE = RequestFlags()

# What stands in the file, the flag, what comes of both, and where.
FLAGS: list[tuple[str, Any, dict[str, Any], str, Any]] = [
    ("url", {"URL": "http://a/"}, {"url": "http://b/"}, "URL", "http://b/"),
    ("type", {"type": "qcow2"}, {"type": "raw"}, "type", "raw"),
    (
        "check_sum",
        {"checkSum": "0" * 32, "checkSumType": "md5"},
        {"check_sum": "1" * 32},
        "checkSum",
        "1" * 32,
    ),
    ("check_sum_type", {"checkSum": "0" * 40}, {"check_sum_type": "sha1"}, "checkSumType", "sha1"),
    ("description", {"description": "a"}, {"description": ""}, "description", ""),
    ("disk_group_id", {"diskGroupId": 1}, {"disk_group_id": 0}, "diskGroupId", 0),
    (
        "http_header",
        {"httpHeader": [{"key": "A", "value": "b"}]},
        {"http_header": ["X-Token:  a:b ", "Y:"]},
        "httpHeader",
        ({"key": "X-Token", "value": "a:b"}, {"key": "Y", "value": ""}),
    ),
    *(
        (flag, {"configdrive": {"enable": False, name: before}}, {flag: given}, f"configdrive.{name}", after)
        for flag, name, before, given, after in [
            ("hostname", "hostname", "a", "b", "b"),
            ("ssh_key", "sshKey", SSH_KEY, [OTHER_KEY, f"{SSH_KEY}\n"], f"{OTHER_KEY}\n{SSH_KEY}"),
            ("user_data", "userData", "a", "\n#!/bin/sh\n\\n ", "\n#!/bin/sh\n\\n "),
            (
                "meta",
                "userMetadatas",
                [{"key": "a", "value": "b"}],
                ["role=web", "c==d"],
                ({"key": "role", "value": "web"}, {"key": "c", "value": "=d"}),
            ),
        ]
    ),
    *(
        (flag, {"options": {name: before}}, {flag: given}, f"options.{name}", given)
        for flag, name, before, given in [
            ("disk", "disk", "/dev/a", "/dev/b"),
            ("sector_size", "sectorSize", 512, 4096),
            ("boot_type", "bootType", "uefi", "legacy"),
            ("efi_bootloader_path", "efiBootloaderPath", "a.efi", "b.efi"),
            ("rivals", "rivals", "erase", "warn"),
            ("staging", "staging", "auto", "memory"),
            ("erase", "erase", "full", "quick"),
            ("verify", "verify", True, False),
            ("reboot", "reboot", True, False),
            ("mirrors", "mirrors", ["http://a/", "http://b/"], ("file:///c",)),
            ("proxy", "proxy", "http://a", "http://b"),
            ("ca_file", "caFile", "/a", "/b"),
            ("fetch_retries", "fetchRetries", 3, 0),
            ("stall_timeout", "stallTimeout", 3, 4),
            ("service_name", "serviceName", "a", "b"),
        ]
    ),
]


def written(folder: Path, document: Any) -> str:
    path = folder / "request.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def from_file(folder: Path, document: dict[str, Any], **flags: Any) -> Request:
    return read_request(written(folder, BASE | document), RequestFlags(**flags))


def wrong(source: str | None, **flags: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        read_request(source, RequestFlags(**flags))
    return caught.value


def test_every_flag_is_tried_here() -> None:
    assert sorted(case[0] for case in FLAGS) == sorted(RequestFlags.__dataclass_fields__)


@pytest.mark.parametrize(
    ("flag", "document", "given", "place", "expected"), FLAGS, ids=[case[0] for case in FLAGS]
)
def test_a_flag_wins_over_the_file(
    tmp_path: Path, flag: str, document: dict[str, Any], given: dict[str, Any], place: str, expected: Any
) -> None:
    found = from_file(tmp_path, document, **given).model_dump(by_alias=True)
    assert value_at(found, place) == expected


def test_what_no_flag_names_stays_as_the_file_has_it(tmp_path: Path) -> None:
    drive = {"enable": True, "hostname": "a", "userData": "x"}
    document = {"configdrive": drive, "options": {"erase": "full", "verify": True}}
    found = from_file(tmp_path, document, hostname="b", verify=False)
    assert found.configdrive is not None
    assert (found.configdrive.hostname, found.configdrive.user_data) == ("b", "x")
    assert (found.options.erase, found.options.verify) == ("full", False)


def test_flags_alone_make_a_request() -> None:
    found = read_request(None, RequestFlags(url="http://h/", type="raw", hostname="web"))
    assert (found.url, found.type, found.wants_configdrive) == ("http://h/", "raw", True)


def test_without_flags_the_file_is_the_request(tmp_path: Path) -> None:
    found = read_request(written(tmp_path, BASE), NONE)
    assert (found.url, found.configdrive, found.http_header) == (BASE["URL"], None, None)


@pytest.mark.parametrize(
    "flag", [{"hostname": "a"}, {"ssh_key": [SSH_KEY]}, {"user_data": ""}, {"meta": ["a="]}]
)
def test_a_flag_of_the_drive_enables_it(tmp_path: Path, flag: dict[str, Any]) -> None:
    assert from_file(tmp_path, {"configdrive": None}, **flag).wants_configdrive
    assert from_file(tmp_path, {"configdrive": {"enable": False}}, **flag).wants_configdrive


def test_a_disk_by_flag_takes_the_place_of_the_files_group(tmp_path: Path) -> None:
    found = from_file(tmp_path, {"diskGroupId": 2}, disk="/dev/sda")
    assert (found.options.disk, found.disk_group_id) == ("/dev/sda", None)


def test_a_group_by_flag_takes_the_place_of_the_files_disk(tmp_path: Path) -> None:
    found = from_file(tmp_path, {"options": {"disk": "/dev/sda", "verify": True}}, disk_group_id=2)
    assert (found.options.disk, found.disk_group_id, found.options.verify) == (None, 2, True)


def test_two_targets_by_flag_are_an_error(tmp_path: Path) -> None:
    for source in (None, written(tmp_path, BASE | {"diskGroupId": 3})):
        found = wrong(source, url="http://h/", type="raw", disk="/dev/sda", disk_group_id=2)
        assert "diskGroupId and options.disk both name a target" in found.message


def test_paths_are_those_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("elsewhere")
    found = read_request(
        None, RequestFlags(url="http://h/", type="raw", disk=["link"], ca_file="a/../ca.pem")
    )
    assert (found.options.disk, found.options.ca_file) == (f"{tmp_path}/link", f"{tmp_path}/ca.pem")


def test_one_disk_and_no_more() -> None:
    found = wrong(None, disk=["/dev/sda", "/dev/sdb"])
    assert found.detail == "--disk: it is given more than once."


@pytest.mark.parametrize("flag", ["ssh_key", "user_data"])
def test_the_name_of_a_file_in_place_of_what_is_in_it(tmp_path: Path, flag: str) -> None:
    path = tmp_path / "file"
    path.write_text("#!/bin/sh\n")
    found = wrong(None, **{flag: [str(path)] if flag == "ssh_key" else str(path)})
    assert found.detail == (
        f"--{flag.replace('_', '-')}: this is the name of a file; with an @ before it the file is read."
    )


@pytest.mark.parametrize("text", ["é" * 200, "x" * 5000, "#!/bin/sh\0", "/root/\udc80"])
def test_user_data_that_could_be_no_path(text: str) -> None:
    flags = RequestFlags(url="http://h/", type="raw", user_data=text)
    drive = read_request(None, flags).configdrive
    assert drive is not None
    assert drive.user_data == text


@pytest.mark.parametrize("inner", [[], 0, "", False, "x"])
@pytest.mark.parametrize(
    ("name", "flag"), [("options", {"verify": True}), ("configdrive", {"hostname": "a"})]
)
def test_a_flag_does_not_hide_what_is_wrong_in_the_file(
    tmp_path: Path, name: str, flag: dict[str, Any], inner: object
) -> None:
    found = wrong(written(tmp_path, BASE | {name: inner}), **flag)
    assert found.message == f"The request is wrong: {name}: an object is expected."


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"boot_type": "bios"},
            "The request is wrong: --boot-type: one of auto, legacy or uefi is expected.",
        ),
        ({"hostname": "-"}, "The request is wrong: --hostname: it is not a host name"),
        ({"mirrors": ["nowhere"]}, "The request is wrong: --mirrors: only http, https and file are known."),
        ({"check_sum": "ab"}, "--check-sum is given, and --check-sum-type is not."),
        ({"check_sum_type": "md5"}, "--check-sum-type is given, and --check-sum is not."),
    ],
)
def test_what_is_wrong_is_named_as_it_was_typed(given: dict[str, Any], said: str) -> None:
    found = wrong(None, url="http://x.example/i", type="raw", **given)
    assert said in (found.message + found.detail)


def test_what_stands_in_the_file_is_named_as_it_stands_there(tmp_path: Path) -> None:
    found = wrong(written(tmp_path, BASE | {"options": {"bootType": "bios"}}), staging="memory")
    assert found.message.startswith("The request is wrong: options.bootType: ")


@pytest.mark.parametrize("flag", [{"http_header": [SECRET]}, {"meta": [SECRET]}])
def test_a_flag_of_two_parts_with_one(flag: dict[str, Any]) -> None:
    found = wrong(None, **flag)
    assert found.message == "What the command line gives is wrong."
    assert f"--{next(iter(flag)).replace('_', '-')}: " in found.detail
    assert SECRET not in everything_said(found)


def test_headers_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "headers"
    path.write_text(f"X-Token: {SECRET}\n\nAccept:a\r\n")
    found = read_request(None, RequestFlags(url="http://h/", type="raw", http_header=[f"@{path}", "B: c"]))
    given = [(header["key"], header["value"]) for header in found.model_dump(by_alias=True)["httpHeader"]]
    assert given == [("X-Token", SECRET), ("Accept", "a"), ("B", "c")]


def test_a_line_in_a_file_of_headers_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "headers"
    path.write_text(SECRET)
    assert SECRET not in everything_said(wrong(None, http_header=[f"@{path}"]))


def test_keys_from_files_and_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "keys.pub"
    path.write_text(f"# two\n{SSH_KEY}\n{OTHER_KEY}\n")
    flags = RequestFlags(url="http://h/", type="raw", ssh_key=[f"@{path}", OTHER_KEY])
    drive = read_request(None, flags).configdrive
    assert drive is not None
    assert drive.ssh_key == f"# two\n{SSH_KEY}\n{OTHER_KEY}\n{OTHER_KEY}"


@pytest.mark.parametrize("flag", ["ssh_key", "user_data"])
def test_a_file_that_can_not_be_read(tmp_path: Path, flag: str) -> None:
    for path, why in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        found = file_not_read(flag, f"@{path}")
        assert found.message == "What the command line gives is wrong."
        assert f"--{flag.replace('_', '-')}: the file {path} can not be read: {why}" in found.detail


@pytest.mark.parametrize("flag", ["ssh_key", "user_data"])
@pytest.mark.parametrize("text", ["@{secret}: x", "@{secret} x", "@{secret}\n", "@" + "{secret}" * 99])
def test_what_is_no_name_of_a_file_is_not_repeated(flag: str, text: str) -> None:
    found = file_not_read(flag, text.format(secret=SECRET))
    assert "the file can not be read: " in found.detail
    assert SECRET not in everything_said(found)


def file_not_read(flag: str, given: str) -> RequestError:
    return wrong(None, **{flag: [given] if flag == "ssh_key" else given})


@pytest.mark.parametrize("name", ["none", ".", "none.json"])
def test_a_request_that_can_not_be_read(tmp_path: Path, name: str) -> None:
    found = wrong(str(tmp_path / name))
    assert found.message == "What the command line gives is wrong."
    assert "can not be read: " in found.detail
    # What is not plainly the name of a request may be a secret that a quote was forgotten around.
    assert (str(tmp_path) in found.detail) == name.endswith(".json")


def test_a_request_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "can not be read: Permission denied." in wrong(str(tmp_path / "request.json")).detail


@pytest.fixture
def standard_input(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    stream = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
    return stream


def test_a_request_on_standard_input(standard_input: io.BytesIO) -> None:
    standard_input.write(json.dumps(BASE | {"description": "ü"}, ensure_ascii=False).encode())
    standard_input.seek(0)
    found = read_request("-", RequestFlags(disk=["/dev/sda"]))
    assert (found.description, found.options.disk) == ("ü", "/dev/sda")


def test_what_is_too_long_for_a_request(
    tmp_path: Path, standard_input: io.BytesIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps(BASE).encode()
    monkeypatch.setattr(request_input, "MAX_REQUEST_SIZE", len(text))
    path = tmp_path / "request.json"
    for more, fits in ((b"", True), (b" ", False)):
        path.write_bytes(text + more)
        standard_input.seek(0)
        standard_input.write(text + more)
        for source in (str(path), "-"):
            standard_input.seek(0)
            if fits:
                assert read_request(source, NONE)
            else:
                assert f"holds more than {len(text)} bytes" in wrong(source).detail


def user_data_on_the_drive(wanted: Request, folder: Path) -> bytes:
    plan = plan_for(wanted, folder).config_drive
    assert plan is not None
    files = read_iso(plan.image.data)
    assert files["openstack/2018-08-27/user_data"] == files["openstack/latest/user_data"]
    return files["openstack/latest/user_data"]


@pytest.mark.parametrize(
    "data",
    [b"\x1f\x8b\x08\0" + os.urandom(500), bytes(range(256)) * 3, b"#!/bin/sh\r\nprintf 'a\\n'\n", b"", b"@x"],
    ids=["gzip", "all bytes", "script", "empty", "at"],
)
def test_user_data_of_a_file_arrives_byte_for_byte(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "user-data"
    path.write_bytes(data)
    wanted = from_file(tmp_path, {}, user_data=f"@{path}")
    assert user_data_on_the_drive(wanted, tmp_path) == data


def test_user_data_of_a_document_arrives_byte_for_byte(tmp_path: Path) -> None:
    text = "#cloud-config\n\\n ü € 𝄞 \t\r\n\0"
    wanted = from_file(tmp_path, {"configdrive": {"enable": True, "userData": text}})
    assert user_data_on_the_drive(wanted, tmp_path) == text.encode()
