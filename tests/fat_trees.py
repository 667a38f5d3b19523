"""Any FAT file system, as a strategy for hypothesis."""

import struct

from hypothesis import strategies as st

from partitioning.fat.format import FatTimes
from partitioning.fat.names import ShortName, can_stand
from partitioning.fat.tree import FatDirectory, FatFile, FatNode, FatTree

MIB = 1 << 20

# Logical sector size, size, and the type (12, 16, 32) that comes of it.
FORMS = [
    (512, 2 * MIB, 12),
    (4096, 4 * MIB, 12),
    (512, 34 * MIB, 32),
    (4096, 64 * MIB, 16),
    (4096, 300 * MIB, 32),
]

FIELDS = [
    "created_tenths", "created_time", "created_date", "accessed_date", "written_time", "written_date"
]  # fmt: skip
LETTERS = st.characters(blacklist_categories=("Cs", "Cc"))
NAMES = st.one_of(
    st.from_regex(r"[A-Z0-9_]{1,8}(\.[A-Z0-9_]{1,3})?", fullmatch=True),
    st.from_regex(r"[a-z0-9]{1,9}(\.[a-z]{1,3})?", fullmatch=True),
    st.from_regex(r"[A-C]{1,3}~[1-9](\.TXT)?", fullmatch=True),
    st.text(LETTERS, min_size=1, max_size=40),
    st.text(st.sampled_from("a. 🚀é"), min_size=1, max_size=120),
).filter(can_stand)
SHORTS = st.none() | st.builds(
    ShortName,
    raw=st.text(st.sampled_from("AB~1 ._a+\u00fc"), min_size=11, max_size=11).map(lambda t: t.encode("cp437"))
    | st.sampled_from([b"AAA~1   TXT", b"A~1        ", b"\x05       TXT", b"GRUB    CFG"]),
    case=st.sampled_from([0, 0x08, 0x10, 0x18]),
)
TIMES = st.binary(min_size=11, max_size=11).map(
    lambda raw: FatTimes(**dict(zip(FIELDS, struct.unpack("<BHHHHH", raw), strict=True)))
)
ATTRIBUTES = st.sampled_from([0, 0x01, 0x02, 0x04, 0x20, 0x27])
FILES = st.builds(
    FatFile,
    name=NAMES,
    content=st.binary(max_size=20) | st.integers(0, 9000).map(lambda length: b"\xe5" * length),
    attributes=ATTRIBUTES,
    times=TIMES,
    short=SHORTS,
)


def beside(nodes: st.SearchStrategy[FatNode]) -> st.SearchStrategy[tuple[FatNode, ...]]:
    return st.lists(nodes, max_size=5, unique_by=lambda node: node.name).map(tuple)


NODES: st.SearchStrategy[FatNode] = st.recursive(
    FILES,
    lambda nodes: st.builds(
        FatDirectory, name=NAMES, nodes=beside(nodes), attributes=ATTRIBUTES, times=TIMES, short=SHORTS
    ),
    max_leaves=10,
)

LABELS = (
    st.text(st.sampled_from("ABCabc 123-_"), min_size=1, max_size=11)
    .map(str.rstrip)
    .filter(lambda label: label and not label.startswith(" "))
)


def trees() -> st.SearchStrategy[FatTree]:
    """Trees with names, short names, attributes and times of every kind."""
    return st.builds(
        FatTree, label=st.none() | LABELS, volume_id=st.integers(0, 0xFFFFFFFF), nodes=beside(NODES)
    )
