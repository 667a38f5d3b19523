"""Reading a qcow2 image at any offset."""

from agent.images.extent import Extent
from agent.images.extent_reader import ExtentReader, Layout
from agent.images.qcow2.header import Qcow2Header
from agent.images.qcow2.tables import FILE, read_l1, read_table
from agent.images.qcow2.unpack import unpacker
from partitioning.byte_access import ByteReader


def qcow2_reader(header: Qcow2Header, file: ByteReader) -> ExtentReader:
    """Give a reader of the image in ``file``. Raises BadFormat."""
    span = header.table_span
    layout = Layout(
        kind=FILE,
        size=header.virtual_size,
        unit=header.cluster_size,
        entries_per_table=span // header.cluster_size,
    )
    tables = {table.start: table for table in read_l1(header, file)[0]}

    def load(number: int) -> list[Extent]:
        table = tables.get(number * span)
        return read_table(header, file, table).data if table else []

    return ExtentReader(layout, file, load, unpacker(header.compression, header.cluster_size))
