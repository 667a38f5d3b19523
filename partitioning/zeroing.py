"""Fast zeroing: fallocate(2) with PUNCH_HOLE and KEEP_SIZE.

On a block device the kernel carries it out as "write zeroes" without a fallback, so afterwards the range
reads as zero or the call has failed. A discard alone (BLKDISCARD) promises nothing of the kind.
"""

import ctypes
import errno
import os

# linux/falloc.h
_KEEP_SIZE = 0x01
_PUNCH_HOLE = 0x02

_UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.ENODEV, errno.EINVAL})

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
_libc.fallocate.restype = ctypes.c_int


def punch_zeroes(fd: int, offset: int, length: int) -> bool:
    """Zero ``length`` bytes at ``offset`` (both multiples of the sector size) without writing them.

    Returns False where the device or the file system has no such operation; raises OSError when it has
    one and it failed.
    """
    while _libc.fallocate(fd, _PUNCH_HOLE | _KEEP_SIZE, offset, length) != 0:
        code = ctypes.get_errno()
        if code in _UNSUPPORTED:
            return False
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))
    return True
