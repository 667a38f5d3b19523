from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from agent.request.model import ConfigDriveRequest, HttpHeader, Options, Request, UserMetadata
from agent.request.parse import parse
from tests.agent_process import SSH_KEY
from tests.unit.test_request_common import (
    BASE,
    SECRET,
    document_with,
    error,
    everything_said,
    request,
    value_at,
)

HALF = "a\ud800b"
LABEL = "a" * 63
MIB = 1 << 20
PATHS = ["/dev/sda", "/dev/disk/by-id/nvme-x", "/images/a b ü"]
URLS = [
    "http://h",
    "https://user:pass@h.example:8443/a%20b?x=1#y",
    "HTTP://[::1]/",
    "http://ü.example/ü!~",
]

RIGHT: dict[str, list[Any]] = {
    "URL": URLS,
    "type": ["raw", "qcow2", "ova"],
    "checkSum": ["0" * 32, "aA" * 16, None],
    "checkSumType": ["sha256"],
    "description": ["", "Débian 12", "x" * 1000, None],
    "diskGroupId": [0, 1, 10**30, None],
    "httpHeader": [[], None],
    "httpHeader.0.key": ["X-Token", "!#$%&'*+.^_`|~0"],
    "httpHeader.0.value": ["", "Bearer abc==", "a\tb", "\xe9\xff"],
    "configdrive": [{"enable": False}, None],
    "configdrive.enable": [True, False],
    "configdrive.hostname": ["web", "WEB-1.example", LABEL, f"{LABEL}.{LABEL}.{LABEL}.{'a' * 61}", None],
    "configdrive.sshKey": [SSH_KEY, f"# mine\n\n{SSH_KEY}\r\n{SSH_KEY}", None],
    "configdrive.userData": [
        "",
        "#!/bin/sh\n\\n\0\r\nü",
        "\udc80\udcff",
        "x" * MIB,
        "\udc80" * MIB,
        "ü" * (MIB // 2),
        None,
    ],
    "configdrive.userMetadatas": [[], None],
    "configdrive.userMetadatas.0.key": ["role", "ä b"],
    "configdrive.userMetadatas.0.value": ["", 'Käse\n"quoted"'],
    "options": [{}],
    "options.bootType": ["auto", "legacy", "uefi"],
    "options.disk": [*PATHS, None],
    "options.sectorSize": [512, 4096, None],
    "options.efiBootloaderPath": [
        "\\EFI\\debian\\shimx64.efi",
        "/efi/BOOT/x.efi",
        "x.efi",
        "ä b/c.efi",
        None,
    ],
    "options.rivals": ["warn", "erase"],
    "options.staging": ["auto", "memory", "stream"],
    "options.erase": ["quick", "full"],
    "options.verify": [True, False],
    "options.reboot": [True, False, None],
    "options.proxy": ["http://user:pass@proxy:3128", None],
    "options.mirrors": [[], ["http://u:p@h/x?a=b", "file:///media/usb/x.raw"], ["https://h/"] * 16],
    "options.caFile": [*PATHS, None],
    "options.fetchRetries": [0, 1000],
    "options.stallTimeout": [1, 3600],
    "options.serviceName": ["ns1.example", "x" * 253, None],
}

A_STRING = "a string is expected"
AN_INTEGER = "an integer is expected"
A_BOOLEAN = "true or false is expected"
A_LIST = "a list is expected"
AN_OBJECT = "an object is expected"
NO_CHARACTER = "half of a surrogate pair"
NO_IMAGE_URL: list[tuple[Any, str]] = [
    (5, A_STRING),
    ("", "only http, https and file"),
    ("ftp://h/x", "only http, https and file"),
    ("http://", "it names no host"),
    ("http://h:99999/", "it is not a URL"),
    ("http://h/a b", "white space"),
    ("file:///a b", "white space"),
    ("file://host/x", "the absolute path of a file on this server"),
    ("file:x", "the absolute path of a file on this server"),
    ("file:///x?y", "? is written %3F"),
    ("file:///x#y", "# is written %23"),
    ("file:///x%00y", "in a file URL"),
    ("file://[::1/x", "it is not a URL"),
]
NO_URL: list[tuple[Any, str]] = [
    (5, A_STRING),
    ("", "only http and https"),
    ("ftp://h/x", "only http and https"),
    ("file:///etc/passwd", "only http and https"),
    ("http://", "it names no host"),
    ("http://:80/x", "it names no host"),
    ("http://h:99999/", "it is not a URL"),
    ("http://[::1/", "it is not a URL"),
    ("http://h/a b", "white space or control"),
    ("http://h/\n", "white space or control"),
    ("\x00http://h/", "white space or control"),
    ("http://h/\x7f", "white space or control"),
    (f"http://h/{HALF}", NO_CHARACTER),
]
NO_PATH: list[tuple[Any, str]] = [
    (5, A_STRING),
    ("", "not an absolute path"),
    ("sda", "not an absolute path"),
    ("./sda", "not an absolute path"),
    ("/a\0b", "not an absolute path"),
    (f"/{HALF}", NO_CHARACTER),
]
RESERVED = ["Range", "if-range", "Accept-Encoding", "content-length", "Connection", "TRANSFER-ENCODING", "TE"]
NO_CHOICE: list[tuple[Any, str]] = [(value, "one of auto, ") for value in ("Auto", "", 1)]

WRONG: dict[str, list[tuple[Any, str]]] = {
    "URL": [*NO_IMAGE_URL, (None, A_STRING)],
    "type": [(None, "one of qcow2, raw or ova is expected")],
    "checkSum": [(5, A_STRING)],
    "checkSumType": [(5, "one of md5, sha1, sha256 or sha512 is expected")],
    "description": [(5, A_STRING), ("x" * 1001, "it is longer than 1000 characters"), (HALF, NO_CHARACTER)],
    "diskGroupId": [(-1, "it can not be less than 0"), *((value, AN_INTEGER) for value in ("1", True, 1.5))],
    "httpHeader": [({}, A_LIST), ("X: y", A_LIST)],
    "httpHeader.0.key": [
        (None, A_STRING),
        *((value, "not the name of an HTTP header") for value in ("", "a b", "a:", "ü", "a\n", HALF)),
        *((value, "the agent sets") for value in RESERVED),
    ],
    "httpHeader.0.value": [
        (None, A_STRING),
        *((value, "a header can not carry") for value in ("a\nb", "a\r", "\0", "\x7f", "€", HALF)),
        *((value, "begins or ends with white space") for value in (" a", "a ", "\ta", "\xa0a")),
    ],
    "configdrive": [(5, AN_OBJECT), ([], AN_OBJECT)],
    "configdrive.enable": [(1, A_BOOLEAN), ("true", A_BOOLEAN), (None, A_BOOLEAN)],
    "configdrive.hostname": [
        (5, A_STRING),
        *((value, "not a host name") for value in ("", "a_b", "-a", "a-", "a..b", "a.", "ü", "a" * 64, HALF)),
        (".".join([LABEL, LABEL, LABEL, "a" * 62]), "not a host name"),
    ],
    "configdrive.sshKey": [
        (["x"], A_STRING),
        ("", "it holds no key"),
        ("# only a comment", "it holds no key"),
        (f"{SSH_KEY}\nrubbish", "key 2 does not begin with a known key type"),
        (SSH_KEY + HALF, NO_CHARACTER),
    ],
    "configdrive.userData": [
        (5, A_STRING),
        *((value, NO_CHARACTER) for value in (HALF, "\udc7f")),
        *((value, "the most there may be") for value in ("x" * (MIB + 1), "ü" * (MIB // 2) + "x")),
    ],
    "configdrive.userMetadatas": [({}, A_LIST)],
    "configdrive.userMetadatas.0.key": [(5, A_STRING), ("", "it is empty"), (HALF, NO_CHARACTER)],
    "configdrive.userMetadatas.0.value": [(5, A_STRING), (None, A_STRING), (HALF, NO_CHARACTER)],
    "options": [(None, AN_OBJECT), ([], AN_OBJECT)],
    "options.bootType": [*NO_CHOICE, (None, "one of auto, legacy or uefi is expected")],
    "options.disk": NO_PATH,
    "options.sectorSize": [(value, "512 or 4096 is expected") for value in (0, 1024, "512", True)],
    "options.efiBootloaderPath": [
        (5, A_STRING),
        *(
            (value, "not the path of a file")
            for value in ("", "/", "a//b", "../x", "a/./b", "a\nb", "C:\\x", "a*")
        ),
        (f"{'x' * 256}", "longer than 255"),
    ],
    "options.rivals": [(value, "one of warn or erase is expected") for value in ("wipe", None)],
    "options.staging": [(value, "one of auto, memory or stream is expected") for value in ("Auto", "", 1)],
    "options.erase": [("none", "one of quick or full is expected")],
    "options.verify": [("yes", A_BOOLEAN), (None, A_BOOLEAN)],
    "options.reboot": [(0, A_BOOLEAN)],
    "options.proxy": [*NO_URL, ("socks5://p", "only http and https")],
    "options.mirrors": [
        (None, A_LIST),
        ("http://h/", A_LIST),
        (["http://h/"] * 17, "more than 16 entries"),
    ],
    "options.caFile": NO_PATH,
    "options.fetchRetries": [(-1, "less than 0"), (1001, "more than 1000"), (1.5, AN_INTEGER)],
    "options.stallTimeout": [(0, "less than 1"), (3601, "more than 3600"), (None, AN_INTEGER)],
    "options.serviceName": [("", "it is empty"), ("x" * 254, "longer than 253"), (HALF, NO_CHARACTER)],
}


def model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(model_in, get_args(annotation))), None)


def places(model: type[BaseModel] = Request, before: str = "") -> Iterator[str]:
    """Every field there is, as errors name it."""
    for field in model.model_fields.values():
        place = f"{before}{field.alias}"
        yield place
        if inner := model_in(field.annotation):
            yield from places(inner, f"{place}.0." if inner in (HttpHeader, UserMetadata) else f"{place}.")


def test_no_field_is_left_out_here() -> None:
    assert RIGHT.keys() == WRONG.keys() == set(places())


@pytest.mark.parametrize("place", RIGHT)
def test_right_values_arrive(place: str) -> None:
    for value in RIGHT[place]:
        document = document_with(place, value)
        if document.get("checkSum", "") is None:
            document["checkSumType"] = None
        found = value_at(parse(document).model_dump(by_alias=True, exclude_unset=True), place)
        assert found == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize("place", WRONG)
def test_wrong_values_are_named(place: str) -> None:
    for value, reason in WRONG[place]:
        found = error(document_with(place, value))
        assert found.message.startswith(f"The request is wrong: {place}: "), value
        assert reason in found.message, value
        assert found.message.endswith(".")
        assert found.detail.endswith(".")
        assert found.detail[:-1] not in found.message
        assert found.hint


def test_each_mirror_is_a_url() -> None:
    for value, reason in NO_IMAGE_URL:
        found = error(BASE | {"options": {"mirrors": ["http://h/", value]}})
        assert found.message.startswith("The request is wrong: options.mirrors.1: "), value
        assert reason in found.message, value


@pytest.mark.parametrize("place", WRONG)
def test_errors_say_what_was_given_where_it_is_of_the_wrong_kind(place: str) -> None:
    kinds = {int: "an integer", type(None): "null", str: "a string", list: "a list", dict: "an object"}
    kinds |= {bool: "true or false", float: "a number"}
    for value, reason in WRONG[place]:
        of_wrong_kind = reason in (A_STRING, AN_INTEGER, A_BOOLEAN, A_LIST, AN_OBJECT)
        told = f"Given is {kinds[type(value)]}." in error(document_with(place, value)).detail
        assert told == of_wrong_kind, value


def test_an_error_says_what_the_field_is() -> None:
    found = error(BASE | {"diskGroupId": -1})
    assert found.detail == "Absent, null or 0 means the default group."


def test_an_unknown_field_is_told_which_there_are() -> None:
    found = error(BASE | {"checksum": "00"})
    assert found.detail.startswith("Is checkSum meant? Known there: URL, type, checkSum, ")
    inner = error(document_with("options.boot_type", "uefi"))
    assert inner.detail.startswith("Is bootType meant? Known there: bootType, disk, ")


@pytest.mark.parametrize("place", ["URL", "type", "configdrive.enable", "httpHeader.0.value"])
def test_required_fields(place: str) -> None:
    document = document_with(place, "x")
    outer, _, name = place.rpartition(".")
    del (value_at(document, outer) if outer else document)[name]
    found = error(document)
    assert found.message == f"The request is wrong: {place}: this field is required."
    assert place not in found.detail


@pytest.mark.parametrize(
    "place", ["url", "checksum", "bootType", "options.boot_type", "configdrive.meta", "httpHeader.0.name"]
)
def test_unknown_fields_are_named(place: str) -> None:
    assert (
        error(document_with(place, "x")).message == f"The request is wrong: {place}: there is no such field."
    )


def test_what_is_no_name_is_not_repeated() -> None:
    name = f"Authorization: Bearer {SECRET}"
    for found in (error(BASE | {name: ""}), error(BASE | {name: "", "x": ""})):
        assert "(a field whose name is no name): there is no such field" in found.message + found.detail
        assert SECRET not in everything_said(found)


def test_not_every_one_of_many_faults_is_told() -> None:
    found = error(BASE | {f"field{number}": 1 for number in range(1000)})
    assert found.detail.count("there is no such field") == 10
    assert found.detail.endswith("; and 990 more.")
    many = error(BASE | {"httpHeader": [0] * 1000})
    assert many.detail == "Given is an integer."


def test_a_misspelt_field_comes_before_the_one_that_is_missing() -> None:
    found = error({"url": BASE["URL"], "type": "raw"})
    assert found.message == "The request is wrong: url: there is no such field."
    assert found.detail.startswith("url: there is no such field (is URL meant?); URL: this field is required")


def test_each_wrong_field_is_told() -> None:
    found = error(BASE | {"URL": "x", "diskGroupId": "1", "description": 5})
    assert found.message == "The request is wrong: URL: only http, https and file are known."
    assert all(name in found.detail for name in ("URL: ", "diskGroupId: ", "description: "))


@pytest.mark.parametrize("value", ["iso", "ova ", "QCOW2", "", 5, ["raw"], {}])
def test_the_documented_message_for_the_type(value: object) -> None:
    found = error(BASE | {"type": value, "diskGroupId": "wrong as well"})
    assert found.message == "Bad format image, expected : qcow2, raw."
    assert found.detail == "type: the types that can be written are qcow2, raw, ova."


@pytest.mark.parametrize("value", ["crc32", "SHA256", "sha-256", ""])
def test_the_documented_message_for_the_kind_of_sum(value: str) -> None:
    found = error(BASE | {"checkSum": "00", "checkSumType": value})
    assert found.message == "Bad checkSumType, expected : sha1, sha256, md5."
    assert "sha512" in found.detail


@pytest.mark.parametrize("half", [{"checkSum": "00"}, {"checkSumType": "md5"}])
def test_the_documented_message_for_half_a_sum(half: dict[str, str]) -> None:
    for document in (half, {"checkSum": None, "checkSumType": None} | half):
        found = error(BASE | document)
        assert found.message == "Please provide checkSum AND checkSumType or none of them"
        assert found.detail not in ("", found.message)


@pytest.mark.parametrize(("kind", "digits"), [("md5", 32), ("sha1", 40), ("sha256", 64), ("sha512", 128)])
def test_a_sum_has_the_digits_of_its_kind(kind: str, digits: int) -> None:
    for value in ("0" * digits, "aF" * (digits // 2)):
        found = request(checkSum=value, checkSumType=kind)
        assert (found.check_sum, found.check_sum_type) == (value, kind)
    for value in (
        "",
        "0" * (digits - 1),
        "0" * (digits + 1),
        "g" * digits,
        "0" * digits + "\n",
        "\u0660" * digits,
    ):
        found_error = error(BASE | {"checkSum": value, "checkSumType": kind})
        expected = f"The request is wrong: checkSum: {kind} has {digits} hexadecimal digits."
        assert found_error.message == expected


def test_only_one_target() -> None:
    both = error(BASE | {"diskGroupId": 2, "options": {"disk": "/dev/sda"}})
    assert "diskGroupId and options.disk both name a target" in both.message
    assert both.detail not in both.message
    for default in (0, None):
        assert request(diskGroupId=default, options={"disk": "/dev/sda"}).options.disk == "/dev/sda"


def test_each_key_of_the_metadata_stands_once() -> None:
    twice = [{"key": "role", "value": value} for value in ("web", SECRET)]
    found = error(document_with("configdrive.userMetadatas", twice))
    assert (
        found.message == "The request is wrong: configdrive: userMetadatas holds the key role more than once."
    )
    assert SECRET not in found.detail


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "\x07"])
def test_an_error_is_one_line_without_control_characters(name: str) -> None:
    twice = [{"key": name, "value": ""}] * 2
    for document in (BASE | {name: 1}, document_with("configdrive.userMetadatas", twice)):
        found = error(document)
        assert found.message.isprintable()
        assert found.detail.isprintable()


def test_defaults() -> None:
    plain = request()
    assert plain.options == Options()
    assert not plain.wants_configdrive
    assert (plain.http_header, plain.disk_group_id, plain.check_sum) == (None, None, None)
    assert (Options().reboot, Options().verify, Options().erase) == (None, False, "quick")


@pytest.mark.parametrize("enable", [True, False])
def test_a_drive_is_wanted_where_it_is_enabled(enable: bool) -> None:
    assert request(configdrive={"enable": enable}).wants_configdrive is enable


def test_a_request_does_not_change() -> None:
    with pytest.raises(ValidationError):
        request().url = "http://other.example/"  # type: ignore[misc]


def test_no_secret_is_shown() -> None:
    drive = {"enable": True, "userData": SECRET}
    header = [{"key": "X-Token", "value": SECRET}]
    shown = request(
        URL=f"http://u:{SECRET}@h/?{SECRET}",
        httpHeader=header,
        configdrive=drive,
        options={"proxy": f"http://u:{SECRET}@p"},
    )
    assert SECRET not in repr(shown) + str(shown)
    assert SECRET in shown.model_dump_json()


def test_what_is_shown_of_a_part() -> None:
    assert SECRET not in repr(HttpHeader(key="X-Token", value=SECRET))
    assert SECRET not in repr(UserMetadata(key="password", value=SECRET))
    assert SECRET not in repr(ConfigDriveRequest(enable=True, userData=SECRET))
