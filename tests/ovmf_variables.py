"""The variables in OVMF's file with Microsoft's keys enrolled, as a firmware's own store holds them.

EDK II, MdeModulePkg/Include/Guid/VariableFormat.h: a firmware volume, the store's header, then variables.
"""

import struct
from pathlib import Path
from uuid import UUID

STORE = Path("/usr/share/OVMF/OVMF_VARS_4M.ms.fd")

_VOLUME_HEADER_SIZE_AT = 48
_STORE_HEADER_SIZE = 28
_VARIABLE = struct.Struct("<HBxI28xII16s")
_START, _VALID = 0x55AA, 0x3F


def ovmf_variables(store: Path = STORE) -> dict[str, bytes]:
    """Give the valid variables as efivarfs would show them: file name, and attributes before the data."""
    data = store.read_bytes()
    (at,) = struct.unpack_from("<H", data, _VOLUME_HEADER_SIZE_AT)
    at += _STORE_HEADER_SIZE
    found: dict[str, bytes] = {}
    while True:
        start, state, attributes, name_size, data_size, vendor = _VARIABLE.unpack_from(data, at)
        if start != _START:
            return found
        name_at = at + _VARIABLE.size
        data_at = name_at + name_size
        if state == _VALID:
            name = data[name_at:data_at].decode("utf-16-le").rstrip("\0")
            content = data[data_at : data_at + data_size]
            found[f"{name}-{UUID(bytes_le=vendor)}"] = struct.pack("<I", attributes) + content
        at = -(-(data_at + data_size) // 4) * 4
