"""The OVF description: which file of the archive is the disk.

Source: DMTF DSP0243, "Open Virtualization Format", 7.1 (File references) and 9.1 (DiskSection). Versions 1
and 2 have other namespaces and the same names.
"""

from collections.abc import Iterator
from xml.etree import ElementTree

from agent.images.errors import CONVERT, PUBLISH_AGAIN, BadFormat

MOST_BYTES = 4 << 20
_ONE_DISK = "Export a machine with one disk, or publish the disk that the system is on by itself (qcow2)."


def disk_file(description: bytes) -> str:
    """Give the name of the file that the only disk is. Raises BadFormat."""
    root = _parse(description)
    disks = list(_all(root, "Disk"))
    if len(disks) != 1:
        raise BadFormat(f"The OVF names {len(disks)} disks; one is what can be written.", hint=_ONE_DISK)
    reference = _attribute(disks[0], "fileRef")
    files = [file for file in _all(root, "File") if reference and _attribute(file, "id") == reference]
    if len(files) != 1:
        raise BadFormat("The OVF does not say which file its disk is.", hint=_ONE_DISK)
    name = _attribute(files[0], "href") or ""
    compression = _attribute(files[0], "compression") or "identity"
    if _attribute(files[0], "chunkSize") or compression not in ("", "identity"):
        raise BadFormat(
            f"The file of the disk, {name!a}, is cut in chunks or compressed ({compression!a})"
            " beyond its own format.",
            hint="Export the machine again without compressing its files, or publish the disk as qcow2.",
        )
    return name.removeprefix("./")


def _parse(description: bytes) -> ElementTree.Element:
    # No entity can be made without a declaration, and no OVF needs one.
    if b"<!DOCTYPE" in description or b"<!ENTITY" in description or b"\0" in description:
        raise BadFormat("The OVF declares things of its own, which none has to.", hint=CONVERT)
    try:
        return ElementTree.fromstring(description)  # noqa: S314  # see above
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise BadFormat("The OVF is no sound XML.", hint=PUBLISH_AGAIN) from error


def _all(root: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    return (element for element in root.iter() if _local(element.tag) == name)


def _attribute(element: ElementTree.Element, name: str) -> str | None:
    return next((value for key, value in element.attrib.items() if _local(key) == name), None)


def _local(name: object) -> str:
    return name.rpartition("}")[2] if isinstance(name, str) else ""
