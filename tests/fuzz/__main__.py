"""Fuzz one of the readers, see docs/development.md: ``python -m tests.fuzz qcow2 --seconds 600``."""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

# What is imported in here reports where it has been.
with atheris.instrument_imports(include=["agent", "tarfile"]):
    from tests.fuzz.checks import check
    from tests.fuzz.subject import Subject
    from tests.fuzz.subjects import SUBJECTS

from tests.fuzz import seeds
from tests.fuzz.kept import kept
from tests.fuzz.mutator import QCOW2, VMDK, mutate, mutate_archive, mutate_packed

_BUILD = Path("build/fuzz")
_MOST_BYTES = 64 << 10
_MEMORY_MIB = 600
"""The interpreter with coverage takes 150 of them, and no input is more than 64 KiB."""
_SECONDS_EACH = 10
_OWN_MUTATIONS = 0.8

_Mutate = Callable[[bytes, int, int], bytes]
_MUTATORS: dict[str, _Mutate] = {
    "qcow2": lambda data, most, seed: mutate(data, QCOW2, most, seed),
    "vmdk": lambda data, most, seed: mutate(data, VMDK, most, seed),
    "ova": mutate_archive,
    "packed": mutate_packed,
}


def main() -> None:
    """Fuzz until the time is over or something is found: that stands in build/fuzz then."""
    wanted = _arguments()
    subject = SUBJECTS[wanted.reader]
    if wanted.files:
        for path in wanted.files:
            print(path, check(subject, path.read_bytes()))
        return
    _fuzz(subject, _options(subject, wanted.seconds))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("reader", choices=sorted(SUBJECTS))
    parser.add_argument("files", nargs="*", type=Path, help="read these, and do not fuzz")
    parser.add_argument("--seconds", type=int, default=600)
    return parser.parse_args()


def _options(subject: Subject, seconds: int) -> list[str]:
    found = _BUILD / subject.name
    found.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (*seeds.SEEDS[subject.name](Path(folder)), *kept(subject.name).items()):
            (found / f"seed-{name}").write_bytes(data)
    limits = [f"-max_total_time={seconds}", f"-timeout={_SECONDS_EACH}", f"-rss_limit_mb={_MEMORY_MIB}"]
    dealt = [f"-max_len={_MOST_BYTES}", f"-artifact_prefix={_BUILD}/{subject.name}-", "-print_final_stats=1"]
    return [*limits, *dealt, str(found)]


def _fuzz(subject: Subject, options: list[str]) -> None:
    own = _MUTATORS[subject.name]

    def change(data: bytes, most: int, seed: int) -> bytes:
        if random.Random(seed).random() < _OWN_MUTATIONS:
            return own(data, most, seed)
        changed: bytes = atheris.Mutate(data, most)
        return changed

    atheris.Setup([sys.argv[0], *options], lambda data: _one(subject, data), custom_mutator=change)
    atheris.Fuzz()


def _one(subject: Subject, data: bytes) -> None:
    if data:
        check(subject, data)


main()
