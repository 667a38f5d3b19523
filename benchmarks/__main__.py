"""`python -m benchmarks table|growth|document`: see `make bench` and docs/performance.md."""

import argparse
import os
import sys
from pathlib import Path

from testbed.command import require_root
from testbed.errors import TestbedError
from testbed.packages import install_missing

from benchmarks.document import put
from benchmarks.packages import BENCHMARK_PACKAGES
from benchmarks.reference_image import Form, reference_image
from benchmarks.results import Results, load, save
from benchmarks.tables import growth_report, report
from benchmarks.target_disk import DiskKind
from benchmarks.turns import Settings, run_benchmarks
from benchmarks.ways import all_ways, growth_ways

_TABLES = {
    DiskKind.SSD: Path("build/bench.json"),
    DiskKind.DIRECT: Path("build/bench-direct.json"),
    DiskKind.CACHED: Path("build/bench-cached.json"),
}
_GROWTH = Path("build/bench-growth.json")


def main() -> int:
    """Do what the command line asks for; 1 when a way failed."""
    arguments = _parser().parse_args()
    try:
        return int(arguments.function(arguments))
    except TestbedError as error:
        print(f"{error}\n{error.hint}", file=sys.stderr)
        return 1


def _table(arguments: argparse.Namespace) -> int:
    _prepare()
    image = reference_image(arguments.size)
    settings = Settings(
        size_gib=arguments.size,
        rate=round(arguments.rate * 1e6),
        rounds=arguments.rounds,
        cores=arguments.cores,
        disk=arguments.disk,
        only=arguments.only.split(","),
    )
    results = run_benchmarks(settings, all_ways(), image)
    save([results], _TABLES[settings.disk])
    print(report(results))
    return _failed([results])


def _growth(arguments: argparse.Namespace) -> int:
    _prepare()
    found: list[Results] = []
    for size in arguments.sizes:
        image = reference_image(size, (Form.ZLIB,))
        for cores in arguments.cores:
            settings = Settings(
                size_gib=size,
                rate=round(arguments.rate * 1e6),
                rounds=arguments.rounds,
                cores=cores,
                disk=arguments.disk,
            )
            found.append(run_benchmarks(settings, growth_ways(), image))
            save(found, _GROWTH)
    print(growth_report(found))
    return _failed(found)


def _document(arguments: argparse.Namespace) -> int:
    if not any(path.exists() for path in (*_TABLES.values(), _GROWTH)):
        raise TestbedError("nothing has been measured yet", hint="Run make bench, or make bench-growth.")
    for kind, path in _TABLES.items():
        if path.exists():
            (results,) = load(path)
            if results.disk is not kind:
                raise TestbedError(f"{path} is of a disk of the kind {results.disk}", hint="Measure again.")
            put(arguments.document, f"bench {kind}", report(results))
    if _GROWTH.exists():
        put(arguments.document, "bench-growth", growth_report(load(_GROWTH)))
    return 0


def _prepare() -> None:
    require_root("attach a loop device")
    install_missing(BENCHMARK_PACKAGES)


def _failed(results: list[Results]) -> int:
    failures = [f"{way.key}: {way.failure}" for one in results for way in one.ways if way.failure]
    print("\n".join(failures), file=sys.stderr)
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True)
    table = commands.add_parser("table", help="all ways, on one image")
    table.add_argument("--size", type=int, default=10, help="GiB of the image (10)")
    table.add_argument("--cores", type=int, default=min(2, os.cpu_count() or 1), help="CPUs to use (2)")
    table.add_argument("--only", default="*", help="patterns of ways, with commas between")
    table.set_defaults(function=_table)
    growth = commands.add_parser("growth", help="some ways, on images of several sizes")
    growth.add_argument("--sizes", type=int, nargs="+", default=[1, 4, 16], help="GiB of the images")
    growth.add_argument("--cores", type=int, nargs="+", default=[1, 2], help="CPUs to use")
    growth.set_defaults(function=_growth)
    for command, rounds in ((table, 3), (growth, 1)):
        command.add_argument("--rate", type=float, default=100, help="MB/s of the limited link (100)")
        command.add_argument(
            "--disk", type=DiskKind, default=DiskKind.SSD, help="ssd, direct or cached (ssd)"
        )
        command.add_argument("--rounds", type=int, default=rounds, help=f"({rounds})")
    document = commands.add_parser("document", help="write what was found last into a document")
    document.add_argument("document", type=Path)
    document.set_defaults(function=_document)
    return parser


if __name__ == "__main__":
    sys.exit(main())
