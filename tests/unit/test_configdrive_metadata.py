import json
import uuid
from typing import Any

import pytest

from configdrive.errors import ConfigDriveError
from configdrive.metadata import DATED_VERSION, ConfigDriveData, files

INSTANCE = uuid.UUID("6b9f4c1e-3d4f-4a0a-9b0e-0c5f4f1f2a3b")


def meta_data(data: ConfigDriveData) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files(data)["openstack/latest/meta_data.json"])
    return found


def test_the_layout_is_openstacks_with_one_dated_version() -> None:
    data = ConfigDriveData(instance_uuid=INSTANCE, user_data=b"x", network_data={"links": []}, vendor_data={})
    names = ("meta_data.json", "network_data.json", "user_data", "vendor_data.json")
    expected = [f"openstack/{version}/{name}" for version in ("latest", "2018-08-27") for name in names]
    assert list(files(data)) == expected


def test_both_versions_say_the_same() -> None:
    found = files(ConfigDriveData(instance_uuid=INSTANCE, hostname="web", user_data=b"\0\n"))
    for name in ("meta_data.json", "user_data"):
        assert found[f"openstack/latest/{name}"] == found[f"openstack/{DATED_VERSION}/{name}"]


def test_meta_data_has_the_fields_cloud_init_reads() -> None:
    data = ConfigDriveData(
        instance_uuid=INSTANCE,
        hostname="web.example",
        ssh_keys=("ssh-ed25519 AAAA a@b",),
        meta={"role": "db"},
    )
    assert meta_data(data) == {
        "uuid": "6b9f4c1e-3d4f-4a0a-9b0e-0c5f4f1f2a3b",
        "name": "web.example",
        "hostname": "web.example",
        "launch_index": 0,
        "meta": {"role": "db"},
        "public_keys": {"key-1": "ssh-ed25519 AAAA a@b"},
    }


def test_without_a_hostname_the_image_keeps_its_own() -> None:
    found = meta_data(ConfigDriveData(instance_uuid=INSTANCE))
    assert "hostname" not in found
    assert found["name"] == str(INSTANCE)


def test_keys_keep_their_order() -> None:
    keys = tuple(f"ssh-ed25519 key{number}" for number in range(12))
    found = meta_data(ConfigDriveData(instance_uuid=INSTANCE, ssh_keys=keys))
    assert tuple(found["public_keys"].values()) == keys


@pytest.mark.parametrize(
    "user_data", [b"", b"echo 'a\\nb'", b"a\r\nb\n\n", b"\0\xff\xfe", "naïve \u2028".encode()], ids=repr
)
def test_user_data_is_not_touched(user_data: bytes) -> None:
    found = files(ConfigDriveData(instance_uuid=INSTANCE, user_data=user_data))
    assert found["openstack/latest/user_data"] == user_data


def test_what_is_not_given_has_no_file() -> None:
    assert [path.rpartition("/")[2] for path in files(ConfigDriveData(instance_uuid=INSTANCE))] == [
        "meta_data.json",
        "meta_data.json",
    ]


def test_empty_network_and_vendor_data_are_still_given() -> None:
    found = files(ConfigDriveData(instance_uuid=INSTANCE, network_data={}, vendor_data=""))
    assert found["openstack/latest/network_data.json"] == b"{}"
    assert found["openstack/latest/vendor_data.json"] == b'""'


def test_the_order_of_what_is_given_changes_nothing() -> None:
    one = ConfigDriveData(instance_uuid=INSTANCE, meta={"a": "1", "b": "2"}, network_data={"x": 1, "y": [2]})
    other = ConfigDriveData(
        instance_uuid=INSTANCE, meta={"b": "2", "a": "1"}, network_data={"y": (2,), "x": 1}
    )
    assert files(one) == files(other)


def test_text_of_any_script_and_half_a_surrogate_pair_survive() -> None:
    meta = {"ключ": "값 😀", "half": "\ud83d", "quote": 'a"\\b\n'}
    data = ConfigDriveData(instance_uuid=INSTANCE, meta=meta)
    assert files(data)["openstack/latest/meta_data.json"].isascii()
    assert meta_data(data)["meta"] == meta


@pytest.mark.parametrize("value", [float("nan"), {"secret"}, b"secret", {"a": object()}], ids=type)
def test_what_json_cannot_say_is_an_error_that_quotes_nothing(value: Any) -> None:
    with pytest.raises(ConfigDriveError) as caught:
        files(ConfigDriveData(instance_uuid=INSTANCE, vendor_data={"password": "secret", "x": value}))
    told = f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    assert "vendor_data.json" in told
    assert "secret" not in told


def test_secrets_do_not_show_in_the_repr() -> None:
    data = ConfigDriveData(
        instance_uuid=INSTANCE,
        hostname="web",
        ssh_keys=("secret",),
        user_data=b"secret",
        meta={"secret": "secret"},
        network_data={"secret": "secret"},
        vendor_data="secret",
    )
    assert "web" in repr(data)
    assert "secret" not in repr(data)
