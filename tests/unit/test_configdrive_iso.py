import pytest

from configdrive.errors import ConfigDriveError
from configdrive.iso import build_iso, read_iso

FILES = {
    "openstack/latest/meta_data.json": b'{"uuid": "x"}',
    "openstack/latest/user_data": b"\0\xff\r\n",
    "openstack/2018-08-27/user_data": b"\0\xff\r\n",
    "openstack/2018-08-27/network_data.json": b"",
    "openstack/2018-08-27/vendor_data.json": b"",
}
PRIMARY = 16 * 2048
JOLIET = 17 * 2048


def test_what_is_put_in_comes_out() -> None:
    assert read_iso(build_iso(FILES)) == FILES


def test_the_label_stands_in_both_volume_descriptors() -> None:
    image = build_iso(FILES)
    assert image[PRIMARY : PRIMARY + 6] == b"\x01CD001"
    assert image[PRIMARY + 40 : PRIMARY + 72] == b"config-2".ljust(32)
    assert image[JOLIET : JOLIET + 6] == b"\x02CD001"
    assert image[JOLIET + 40 : JOLIET + 72].decode("utf-16-be").rstrip(" \0") == "config-2"


def test_whole_sectors() -> None:
    assert len(build_iso(FILES)) % 2048 == 0


def test_equal_files_take_room_once() -> None:
    content = bytes(range(256)) * 4096
    image = build_iso({"openstack/latest/user_data": content, "openstack/2018-08-27/user_data": content})
    assert len(image) < len(content) + 200_000
    assert set(read_iso(image).values()) == {content}


def test_names_without_extensions_are_valid_iso_9660() -> None:
    image = build_iso(FILES)
    for name in (b"META_DATA.JSON;1", b"NETWORK_DATA.JSON;1", b"USER_DATA.;1", b"2018_08_27"):
        assert name in image


@pytest.mark.parametrize(
    "path", ["", "/a", "a/", "a//b", "../a", ".hidden", "end.", "a b", "a\n", "ü", "x" * 30, "a;1", "a\\b"]
)
def test_a_name_that_would_not_come_out_the_same_is_refused(path: str) -> None:
    with pytest.raises(ConfigDriveError, match="A file name cannot stand on a ConfigDrive"):
        build_iso({path: b"secret"})


@pytest.mark.parametrize(
    "paths", [("a", "A"), ("x/a-b", "x/a_b"), ("a.b", "a-b"), ("a", "a/b"), ("D/x", "d/y")], ids="+".join
)
def test_names_that_some_reader_cannot_tell_apart_are_refused(paths: tuple[str, ...]) -> None:
    with pytest.raises(ConfigDriveError, match="differ in upper and lower case"):
        build_iso(dict.fromkeys(paths, b"x"))


@pytest.mark.parametrize("damage", [b"", b"\0" * 100_000, b"\xff" * 100_000], ids=len)
def test_what_is_no_iso_is_unreadable(damage: bytes) -> None:
    with pytest.raises(ConfigDriveError, match="cannot be read back"):
        read_iso(damage)


def test_two_trees_that_differ_are_noticed() -> None:
    name, other = ("user_data".encode("utf-16-be"), "user_dat4".encode("utf-16-be"))
    image = build_iso(FILES)
    assert name in image
    with pytest.raises(ConfigDriveError, match="show different files"):
        read_iso(image.replace(name, other))
