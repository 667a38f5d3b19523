"""The agent beside plain qemu-img convert, on the test bed's sample image: ``make measure``.

Every run writes to a file of 4 GiB that is full of old data, and ends with everything on the medium.
"""

import os
import shlex
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.cache import cache_root
from testbed.file_server import FileServer
from testbed.image_file import ImageFile
from testbed.sample_image import sample_image

from benchmarks.measured_run import Figures, measure

DISK_SIZE = 4 << 30
ROUNDS = 3
_MIB = 1 << 20


def main() -> None:
    """Measure each way a few times, in turn, and print the medians as a table."""
    image = sample_image().qcow2
    with tempfile.TemporaryDirectory(dir=cache_root()) as folder, _served(image) as url:
        ways = _ways(image, url, Path(folder))
        found: dict[str, list[Figures]] = {name: [] for name in ways}
        for number in range(ROUNDS):
            for name, run in ways.items():
                sys.stderr.write(f"round {number + 1} of {ROUNDS}: {name}\n")
                found[name].append(run())
    sys.stdout.write(_table(image, found))


@contextmanager
def _served(image: ImageFile) -> Iterator[str]:
    with FileServer(image.path.parent) as server:
        yield server.url(image.path.name, host="127.0.0.1")


def _ways(image: ImageFile, url: str, folder: Path) -> dict[str, Callable[[], Figures]]:
    disk, copy = folder / "disk", Path("/dev/shm") / f"byoi-{os.getpid()}.qcow2"  # noqa: S108
    convert = f"qemu-img convert -n -f qcow2 -O raw {{}} {shlex.quote(str(disk))} && sync {disk}"
    by_hand = (
        f"curl -sf -o {copy} {url} && echo '{image.sha256}  {copy}' | sha256sum -c && "
        f"{convert.format(copy)} && rm {copy}"
    )
    agent = [sys.executable, "-m", "agent", "deploy", "--url", url, "--type", "qcow2", "--yes"]
    agent += ["--check-sum", image.sha256, "--check-sum-type", "sha256", "--disk", str(disk)]
    agent += ["--hostname", "measured"]
    environment = {"BYOI_AGENT_RUN_DIR": str(folder / "run")}

    def on_old_data(argv: list[str]) -> Callable[[], Figures]:
        def run() -> Figures:
            _fill(disk)
            return measure(argv, environment)

        return run

    return {
        "qemu-img convert from a local file": on_old_data(["sh", "-c", convert.format(image.path)]),
        "curl, sha256sum, qemu-img convert": on_old_data(["sh", "-c", by_hand]),
        "byoi-agent deploy": on_old_data([*agent, "--staging", "memory"]),
        "byoi-agent deploy --staging stream": on_old_data([*agent, "--staging", "stream"]),
        "byoi-agent deploy --verify": on_old_data([*agent, "--verify"]),
    }


def _fill(disk: Path) -> None:
    block = os.urandom(_MIB)
    with disk.open("wb") as stream:
        for _ in range(DISK_SIZE // _MIB):
            stream.write(block)
        stream.flush()
        os.fsync(stream.fileno())


def _table(image: ImageFile, found: dict[str, list[Figures]]) -> str:
    size = image.path.stat().st_size
    virtual = image.virtual_size
    lines = [
        f"Image: {size / _MIB:.0f} MiB as compressed qcow2, {virtual / _MIB:.0f} MiB virtual.",
        f"Medians of {ROUNDS} rounds.",
        "",
        "| | seconds | CPU seconds | peak memory, MiB | written to the disk, MiB |",
        "|---|---|---|---|---|",
    ]
    for name, figures in found.items():
        lines.append(
            f"| {name} "
            f"| {statistics.median(f.seconds for f in figures):.1f} "
            f"| {statistics.median(f.cpu_seconds for f in figures):.1f} "
            f"| {statistics.median(f.peak_memory for f in figures) / _MIB:.0f} "
            f"| {statistics.median(f.bytes_written for f in figures) / _MIB:.0f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
