"""Reading a VMDK disk at any offset."""

from agent.images.extent import Extent
from agent.images.extent_reader import ExtentReader, Layout
from agent.images.vmdk.header import FILE, VmdkHeader
from agent.images.vmdk.tables import read_directory, read_table
from agent.images.vmdk.unpack import unpacker
from partitioning.byte_access import ByteReader


def vmdk_reader(header: VmdkHeader, file: ByteReader) -> ExtentReader:
    """Give a reader of the disk in ``file``. Raises BadFormat."""
    layout = Layout(
        kind=FILE,
        size=header.capacity,
        unit=header.grain_size,
        entries_per_table=header.entries_per_table,
    )
    directory = read_directory(header, file)

    def load(number: int) -> list[Extent]:
        sector = directory[number]
        return read_table(header, file, sector, number * header.table_span) if sector else []

    return ExtentReader(layout, file, load, unpacker(header))
