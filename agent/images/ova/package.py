"""An OVA as a whole: its description read, its sums checked, its disk found."""

from agent.images.errors import CONVERT, BadFormat
from agent.images.ova import description, manifest
from agent.images.ova.archive import Member, members_of
from agent.images.ova.description import disk_file
from agent.images.ova.manifest import Manifest
from partitioning.byte_access import ByteReader

_EXPORT = "Export the machine again as OVA."


def disk_in(file: ByteReader) -> Member:
    """Find the file of the only disk, and check all sums that the archive brings along. Raises BadFormat."""
    members = members_of(file)
    ovf = _only(members, ".ovf")
    if ovf is None:
        raise BadFormat("The archive holds no description (.ovf), so it is no OVA.", hint=_EXPORT)
    wanted = disk_file(_read(file, ovf, description.MOST_BYTES))
    disk = members.get(wanted)
    if disk is None:
        raise BadFormat(
            f"The OVF names {wanted!a} as the file of its disk, and the archive has none of that name.",
            hint=_EXPORT,
        )
    sums = _only(members, ".mf")
    if sums is not None:
        checked = Manifest(_read(file, sums, manifest.MOST_BYTES))
        checked.check(file, ovf)
        checked.check(file, disk)
    return disk


def _only(members: dict[str, Member], suffix: str) -> Member | None:
    found = [member for name, member in members.items() if name.lower().endswith(suffix)]
    if len(found) > 1:
        raise BadFormat(f"The archive holds {len(found)} files that end in {suffix}.", hint=CONVERT)
    return found[0] if found else None


def _read(file: ByteReader, member: Member, most: int) -> bytes:
    if member.size > most:
        raise BadFormat(f"The file {member.name!a} in the archive is too large.", hint=_EXPORT)
    return file.pread(member.size, member.start)
