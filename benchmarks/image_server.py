"""The server that images are downloaded from, in a process of its own, at the rate of a link.

`python -m benchmarks.image_server DIRECTORY [BYTES_PER_SECOND]` is what runs in that process.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from testbed.file_server import FileServer


@contextmanager
def image_server(directory: Path, *, bytes_per_second: int | None, cpus: Sequence[int]) -> Iterator[str]:
    """Serve the files of ``directory`` on these CPUs while the block lasts; gives the URL they are below."""
    rate = [] if bytes_per_second is None else [str(bytes_per_second)]
    argv = [sys.executable, "-m", "benchmarks.image_server", str(directory), *rate]
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    finally:
        os.sched_setaffinity(0, allowed)
    with process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def main() -> None:
    """Serve until standard input ends."""
    rate = int(sys.argv[2]) if len(sys.argv) > 2 else None
    with FileServer(Path(sys.argv[1]), bytes_per_second=rate) as server:
        print(server.url("", host="127.0.0.1"), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
