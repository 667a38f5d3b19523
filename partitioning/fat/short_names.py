"""The short names in a FAT directory that is made anew: one for each file and directory, none twice.

Section numbers are those of Microsoft's "FAT32 File System Specification", version 1.03.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from partitioning.fat.names import ShortName, folded
from partitioning.fat.tree import FatNode

# What the simplest firmware takes for a name that needs no long form.
_PLAIN = re.compile(r"([A-Z0-9_]{1,8})(?:\.([A-Z0-9_]{1,3}))?")
_NOT_PLAIN = re.compile(r"[^A-Z0-9_]")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedNode:
    """A file or directory with the short name it gets, and whether it needs a long one too."""

    node: FatNode
    short: ShortName
    has_long_name: bool


def with_short_names(nodes: Sequence[FatNode]) -> list[NamedNode]:
    """Give the nodes of one directory their short names.

    What is a short name as it stands (BOOTX64.EFI) gets no long one: the simplest firmware finds it. Where
    a long name is needed, a short one that came with it is kept. A new one (section 7.4) is no other's name.
    """
    shorts = _own_names(nodes)
    _keep_aliases(nodes, shorts)
    _make_aliases(nodes, shorts)
    return [
        NamedNode(node=node, short=shorts[at], has_long_name=shorts[at].text != node.name)
        for at, node in enumerate(nodes)
    ]


def _own_names(nodes: Sequence[FatNode]) -> dict[int, ShortName]:
    """Find the names that can stand as they are, by the node's place: the first of those that are alike."""
    found: dict[int, ShortName] = {}
    taken: set[bytes] = set()
    for at, node in enumerate(nodes):
        own = _own_name(node)
        if own is not None and own.raw not in taken:
            taken.add(own.raw)
            found[at] = own
    return found


def _own_name(node: FatNode) -> ShortName | None:
    if node.short is not None and node.short.is_sound and node.short.text == node.name:
        return node.short
    plain = _PLAIN.fullmatch(node.name)
    return ShortName(raw=f"{plain[1]:<8}{plain[2] or '':<3}".encode("ascii")) if plain else None


def _keep_aliases(nodes: Sequence[FatNode], shorts: dict[int, ShortName]) -> None:
    names = {folded(node.name) for node in nodes}
    taken = {short.raw for short in shorts.values()}
    for at, node in enumerate(nodes):
        if at in shorts or node.short is None or not node.short.is_sound or node.short.raw in taken:
            continue
        shown = folded(node.short.text)
        if shown == folded(node.name) or shown not in names:
            taken.add(node.short.raw)
            shorts[at] = node.short


def _make_aliases(nodes: Sequence[FatNode], shorts: dict[int, ShortName]) -> None:
    names = {folded(node.name) for node in nodes}
    taken = {short.raw for short in shorts.values()}
    number = 0
    for at, node in enumerate(nodes):
        # The number only grows: a directory full of names that are in the way costs one pass and no more.
        number = max(number, at)
        while at not in shorts:
            number += 1
            alias = _alias(node.name, number)
            if alias.raw not in taken and folded(alias.text) not in names:
                shorts[at] = alias


def _alias(name: str, number: int) -> ShortName:
    stem, _, suffix = name.upper().rpartition(".") if "." in name else (name.upper(), "", "")
    tail = f"~{number}"
    stem = _NOT_PLAIN.sub("", stem)[: 8 - len(tail)] + tail
    return ShortName(raw=f"{stem:<8}{_NOT_PLAIN.sub('', suffix)[:3]:<3}".encode("ascii"))
