"""Random qcow2 images of every kind that qemu-img and qemu-io make, each from a seed."""

import random
import subprocess
from pathlib import Path

from tests.small_images import sparse_pattern, tool

_SMALL = (512, 1024, 2048, 4096, 8192)
_LARGE = (16384, 65536, 65536, 65536, 262144, 1 << 20, 2 << 20)


def random_image(folder: Path, seed: int) -> Path:
    """Make the image of ``seed``, which no other file is needed for."""
    chance = random.Random(seed)
    cluster = chance.choice(_SMALL + _LARGE)
    options = _options(chance, cluster)
    size = chance.randrange(1, 40 if cluster <= 4096 else 400) * 32768 + chance.choice((0, 0, 512, 1536))
    path = folder / f"{seed}.qcow2"
    if chance.random() < 0.6:
        _convert(chance, folder, path, options, size)
    else:
        allocation = chance.choice(("off", "off", "metadata", "falloc", "full"))
        if "extended_l2=on" in options and allocation == "metadata":
            allocation = "off"
        tool(
            "qemu-img",
            "create",
            "-q",
            "-f",
            "qcow2",
            "-o",
            f"{options},preallocation={allocation}",
            path,
            str(size),
        )
    for _ in range(chance.choice((0, 1, 1, 2))):
        size = _change(chance, folder, path, options, size, cluster)
    return path


def _options(chance: random.Random, cluster: int) -> str:
    options = [f"cluster_size={cluster}"]
    if chance.random() < 0.2:
        return ",".join([*options, "compat=0.10"])
    if chance.random() < 0.5:
        options.append("compression_type=zstd")
    if cluster >= 16384 and chance.random() < 0.4:
        options.append("extended_l2=on")
    if chance.random() < 0.2:
        options.append("lazy_refcounts=on")
    if chance.random() < 0.3:
        options.append(f"refcount_bits={chance.choice((1, 2, 4, 8, 32, 64))}")
    return ",".join(options)


def _convert(chance: random.Random, folder: Path, path: Path, options: str, size: int) -> None:
    raw = folder / f"{path.stem}.raw"
    raw.write_bytes(_content(chance, size))
    more = chance.choice(([], ["-c"], ["-c"], ["-c", "-W", "-m", "8"], ["-S", "0"]))
    tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-o", options, *more, raw, path)
    raw.unlink()


def _content(chance: random.Random, size: int) -> bytes:
    if chance.random() < 0.1:
        return bytes(size)
    data = bytearray(sparse_pattern(size, chance.randrange(1 << 30)))
    for _ in range(chance.randrange(20)):  # what packs well
        at = chance.randrange(size)
        data[at : at + 20000] = (b"%d" % at * 4000)[: min(20000, size - at)]
    return bytes(data)


def _change(chance: random.Random, folder: Path, path: Path, options: str, size: int, cluster: int) -> int:
    what = chance.choice(("write", "write", "write", "snapshot", "resize", "rebase"))
    grown = size + chance.randrange(1, 30) * 65536
    if what == "rebase":
        top = folder / f"{path.stem}.top.qcow2"
        tool("qemu-img", "create", "-q", "-f", "qcow2", "-o", options, "-b", path, "-F", "qcow2", top)
        _write(chance, top, size, cluster)
        if _done("qemu-img", "rebase", "-f", "qcow2", "-b", "", top):
            top.replace(path)
        return size
    if what == "snapshot":
        _done("qemu-img", "snapshot", "-c", f"s{chance.randrange(1000)}", path)
    if what == "resize" and _done("qemu-img", "resize", "-q", "-f", "qcow2", path, str(grown)):
        size = grown
    _write(chance, path, size, cluster)
    return size


def _write(chance: random.Random, path: Path, size: int, cluster: int) -> None:
    commands: list[str] = []
    for _ in range(chance.randrange(1, 25)):
        at = chance.randrange(size // 512) * 512
        length = min(chance.choice((512, 4096, 65536, 300 * 1024)), size - at)
        kinds = [f"write -P {chance.randrange(256)} {at} {length}", f"write -z {at} {length}"]
        kinds += [f"write -z -u {at} {length}", f"discard {at} {length}"]
        whole = at // cluster * cluster
        if whole + cluster <= size:
            kinds.append(f"write -c -P {chance.randrange(256)} {whole} {cluster}")
        commands += ["-c", chance.choice(kinds)]
    _done("qemu-io", "-f", "qcow2", *commands, path)


def _done(*command: str | Path) -> bool:
    """Do what can not be done with every image; one that it failed with is none the worse for it."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
