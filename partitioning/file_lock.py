"""The lock that a virtual machine monitor puts on its disk image: fcntl(2), open file description locks.

QEMU locks single bytes of the image for reading (block/file-posix.c, from byte 100 on), as long as it runs.
Those locks and flock(2) do not see each other.
"""

import errno
import fcntl
import os
import struct

# struct flock: type, whence, start, length (0 is to the end, however far), pid (0 for this sort of lock).
_FLOCK = struct.Struct("hhqqi4x")
_CONFLICT = (errno.EAGAIN, errno.EACCES)


def lock_whole_file(fd: int) -> None:
    """Lock all bytes of a file for writing until the descriptor is closed.

    Raises BlockingIOError when another process holds any lock on it. A file system without such locks
    (ENOLCK, EINVAL) holds none.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except OSError as error:
        if error.errno in _CONFLICT:
            raise BlockingIOError(error.errno, os.strerror(error.errno or 0)) from error
