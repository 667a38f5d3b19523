"""Standard input, output and error, as a command finds them: perhaps closed, perhaps not for every letter."""

import io
import os
import sys


def prepare_standard_streams() -> None:
    """See to it that the three are there and take any letter.

    A disk that was opened as descriptor 1 or 2, because nothing else was there, would be written to by
    every child process that says something.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is fd
            os.set_inheritable(fd, True)  # noqa: FBT003 - the signature is os's
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
