"""An OVA as a whole: its description read, its sums checked, its disk found."""

from agent.images.errors import CONVERT, BadFormat
from agent.images.ova import description, manifest
from agent.images.ova.archive import EXPORT, Member, members_of
from agent.images.ova.description import disk_file
from agent.images.ova.manifest import Manifest
from partitioning.byte_access import ByteReader


def disk_in(file: ByteReader) -> Member:
    """Find the file of the only disk, and check all sums that the archive brings along. Raises BadFormat."""
    members = members_of(file)
    ovf = only(members, ".ovf")
    if ovf is None:
        raise no_description()
    wanted = disk_file(_read(file, ovf, description.MOST_BYTES))
    disk = members.get(wanted)
    if disk is None:
        raise no_disk(wanted)
    sums = only(members, ".mf")
    if sums is not None:
        checked = Manifest(_read(file, sums, manifest.MOST_BYTES))
        checked.check(file, ovf)
        checked.check(file, disk)
    return disk


def no_description() -> BadFormat:
    """Give the error for an archive without a description."""
    return BadFormat("The archive holds no description (.ovf), so it is no OVA.", hint=EXPORT)


def no_disk(wanted: str) -> BadFormat:
    """Give the error for an archive without the disk that is described."""
    return BadFormat(
        f"The OVF names {wanted!a} as the file of its disk, and the archive has none of that name.",
        hint=EXPORT,
    )


def only(members: dict[str, Member], suffix: str) -> Member | None:
    """Give the only file whose name ends in ``suffix``; None where there is none. Raises BadFormat."""
    found = [member for name, member in members.items() if name.lower().endswith(suffix)]
    if len(found) > 1:
        raise BadFormat(f"The archive holds {len(found)} files that end in {suffix}.", hint=CONVERT)
    return found[0] if found else None


def _read(file: ByteReader, member: Member, most: int) -> bytes:
    if member.size > most:
        raise BadFormat(f"The file {member.name!a} in the archive is too large.", hint=EXPORT)
    return file.pread(member.size, member.start)
