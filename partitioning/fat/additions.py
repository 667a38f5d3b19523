"""Files put into a FAT tree by their paths, as a FAT driver does it: the case of letters does not matter."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from partitioning.fat.names import can_stand, folded
from partitioning.fat.tree import FatDirectory, FatFile, FatNode, FatTree
from partitioning.fat.volume import FatError

_ITSELF = ""


def tree_of(files: Mapping[str, bytes], *, label: str | None, volume_id: int) -> FatTree:
    """Make a tree that holds ``files``, by path, in the order of names. Raises FatError as below."""
    in_order = {path: files[path] for path in sorted(files, key=lambda path: path.split("/"))}
    return with_files(FatTree(label=label, volume_id=volume_id), in_order)


def with_files(tree: FatTree, add: Mapping[str, bytes]) -> FatTree:
    """Give the tree with ``add`` in it, whose paths have ``/`` between names and none at the beginning.

    A directory that is there already, under its long or its short name, is used and keeps its spelling. A
    file that is there gets the new content, and stays as it is otherwise. What is new comes after what is
    there. Raises FatError for a path that leads through a file or to a directory, has a name that can not
    stand on FAT, or is the same as another one but for the case.
    """
    return replace(tree, nodes=_merged(tree.nodes, add, above="")) if add else tree


def _merged(nodes: Sequence[FatNode], add: Mapping[str, bytes], above: str) -> tuple[FatNode, ...]:
    merged = list(nodes)
    places = _places(nodes)
    for name, below in _by_first_name(add, above).items():
        path = f"{above}{name}"
        place = places.get(folded(name))
        if place is None:
            merged.append(_new(name, below, path))
        else:
            merged[place] = _changed(merged[place], below, path)
    return tuple(merged)


def _places(nodes: Sequence[FatNode]) -> dict[str, int]:
    """Tell where the node of each name stands; a short name counts after the long names."""
    places: dict[str, int] = {}
    for place, node in enumerate(nodes):
        places.setdefault(folded(node.name), place)
    for place, node in enumerate(nodes):
        if node.short is not None:
            places.setdefault(folded(node.short.text), place)
    return places


def _by_first_name(add: Mapping[str, bytes], above: str) -> dict[str, dict[str, bytes]]:
    """Group files by the first name of their paths; what is left of the path is _ITSELF for a file."""
    spelled: dict[str, str] = {}
    groups: dict[str, dict[str, bytes]] = {}
    for path, content in add.items():
        name, slash, rest = path.partition("/")
        if not can_stand(name) or (slash and not rest):
            raise _cannot_add(f"{above + path!r} has a name that can not stand on FAT.")
        group = groups.setdefault(spelled.setdefault(folded(name), name), {})
        if rest in group:
            raise _cannot_add(f"{above + path!r} differs from another path in upper and lower case only.")
        group[rest] = content
    return groups


def _new(name: str, below: Mapping[str, bytes], path: str) -> FatNode:
    if _ITSELF not in below:
        return FatDirectory(name=name, nodes=_merged((), below, above=f"{path}/"))
    if len(below) > 1:
        raise _cannot_add(f"{path!r} is to be both a file and a directory.")
    return FatFile(name=name, content=below[_ITSELF])


def _changed(node: FatNode, below: Mapping[str, bytes], path: str) -> FatNode:
    if isinstance(node, FatFile):
        if set(below) != {_ITSELF}:
            raise _cannot_add(f"{path!r} is a file, not a directory.")
        return replace(node, content=below[_ITSELF])
    if _ITSELF in below:
        raise _cannot_add(f"{path!r} is a directory, not a file.")
    return replace(node, nodes=_merged(node.nodes, below, above=f"{path}/"))


def _cannot_add(detail: str) -> FatError:
    return FatError(
        "The files can not be added to the FAT file system.",
        detail=detail,
        hint="Look at what is in the file system, and remove or rename what is in the way.",
    )
