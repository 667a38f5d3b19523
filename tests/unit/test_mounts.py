from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from partitioning.mounts import Mount, mount_with, read_mounts, read_swaps, unescape
from tests.unit.sysfs.tree import Tree


def test_a_line_of_mountinfo(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.mounts(
        r"8:2 / /mnt/my\040disk\134 rw,noatime shared:1 master:2 - ext4 /dev/disk/by-label/a\040b rw,discard",
        "0:5 / /dev rw - devtmpfs devtmpfs",
    )
    first, second = read_mounts(tree.roots)
    assert first == Mount(
        devno="8:2",
        mount_point="/mnt/my disk\\",
        fstype="ext4",
        source="/dev/disk/by-label/a b",
        super_options="rw,discard",
    )
    assert (second.mount_point, second.super_options) == ("/dev", "")


def test_a_process_that_is_gone_has_no_mounts(tmp_path: Path) -> None:
    assert read_mounts(Tree(tmp_path).roots, process="1") == ()


def test_swaps(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    assert read_swaps(tree.roots) == ()
    tree.swaps("/dev/sda2", r"/var/swap\040file\040(deleted)")
    assert read_swaps(tree.roots) == ("/dev/sda2", "/var/swap file")


def mount(mount_point: str, *, fstype: str = "ext4", options: str = "rw", source: str = "x") -> Mount:
    return Mount(devno="8:1", mount_point=mount_point, fstype=fstype, source=source, super_options=options)


def test_overlay_layers() -> None:
    options = (
        r"rw,lowerdir=/run/live/rootfs/a\134:b:/run/c\054d\040e,upperdir=/run/cow/rw,workdir=/run/cow/work"
    )
    assert mount("/", fstype="overlay", options=options).layers() == (
        "/run/live/rootfs/a:b",
        "/run/c,d e",
        "/run/cow/rw",
    )
    new_api = "rw,lowerdir+=/one,lowerdir+=/two,datadir+=/three"
    assert mount("/", fstype="overlay", options=new_api).layers() == ("/one", "/two", "/three")
    assert mount("/", options=options).layers() == ()


def test_the_deepest_mount_and_of_two_at_one_place_the_last() -> None:
    mounts = [mount("/"), mount("/mnt"), mount("/mnt/a", source="below"), mount("/mnt/a", source="above")]
    found = mount_with("/mnt/a/file", mounts)
    assert found is not None
    assert found.source == "above"
    deeper = mount_with("/mnt/ab/file", mounts)
    assert deeper is not None
    assert deeper.mount_point == "/mnt"
    assert mount_with("/x", [mount("/mnt")]) is None


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_unescape_undoes_what_the_kernel_does(text: str) -> None:
    escaped = "".join(f"\\{ord(char):03o}" if char in " \t\n\\" else char for char in text)
    assert unescape(escaped) == text
