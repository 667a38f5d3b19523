"""The OVF description: which file of the archive is the disk.

Source: DMTF DSP0243, "Open Virtualization Format", 7.1 (File references) and 9.1 (DiskSection). Versions 1
and 2 have other namespaces and the same names.
"""

from xml.parsers import expat

from agent.images.errors import CONVERT, PUBLISH_AGAIN, BadFormat

MOST_BYTES = 4 << 20
_MOST_DEPTH = 100
_ONE_DISK = "Export a machine with one disk, or publish the disk that the system is on by itself (qcow2)."


def disk_file(description: bytes) -> str:
    """Give the name of the file that the only disk is. Raises BadFormat."""
    elements = _Elements(description)
    if len(elements.disks) != 1:
        raise BadFormat(
            f"The OVF names {len(elements.disks)} disks; one is what can be written.", hint=_ONE_DISK
        )
    reference = elements.disks[0].get("fileRef")
    files = [file for file in elements.files if reference and file.get("id") == reference]
    if len(files) != 1:
        raise BadFormat("The OVF does not say which file its disk is.", hint=_ONE_DISK)
    name = files[0].get("href", "")
    compression = files[0].get("compression") or "identity"
    if files[0].get("chunkSize") or compression != "identity":
        raise BadFormat(
            f"The file of the disk, {name!a}, is cut in chunks or compressed ({compression!a})"
            " beyond its own format.",
            hint="Export the machine again without compressing its files, or publish the disk as qcow2.",
        )
    return name.removeprefix("./")


class _Elements:
    """The attributes of the elements that matter, by their names without a prefix.

    Prefixes are not looked up: each name in a namespace would be as long as the namespace's own, and a
    hostile description would take many thousand times its size.
    """

    def __init__(self, description: bytes) -> None:
        # No entity can be made without a declaration, and no OVF needs one.
        if b"<!DOCTYPE" in description or b"<!ENTITY" in description or b"\0" in description:
            raise BadFormat("The OVF declares things of its own, which none has to.", hint=CONVERT)
        self.disks: list[dict[str, str]] = []
        self.files: list[dict[str, str]] = []
        self._depth = 0
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        try:
            parser.Parse(description, True)  # noqa: FBT003  # it takes no names
        except (expat.ExpatError, ValueError, LookupError) as error:
            raise BadFormat("The OVF is no sound XML.", hint=PUBLISH_AGAIN) from error

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise BadFormat("The OVF has more elements within one another than any needs.", hint=CONVERT)
        found = {"Disk": self.disks, "File": self.files}.get(_local(name))
        if found is not None:
            found.append({_local(key): value for key, value in reversed(attributes.items())})

    def _end(self, _name: str) -> None:
        self._depth -= 1


def _local(name: str) -> str:
    return name.rpartition(":")[2]
