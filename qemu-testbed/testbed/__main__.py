"""The test bed's command line: `python3 -m testbed COMMAND`.

Each command imports what it needs only when it runs, so that `host-packages` works on a bare machine.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import TestbedError

if TYPE_CHECKING:
    from .image_recipe import ImageRecipe


_FIRMWARES = ("legacy", "uefi", "uefi-secure")


def main() -> int:
    """Run one command and return the exit code."""
    # An ending by `kill` has to close the servers like an ending by Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    arguments = _parser().parse_args()
    try:
        _COMMANDS[arguments.command](arguments)
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        if error.hint:
            print(f"testbed: {error.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m testbed", description="Virtual servers to deploy onto.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("host-packages", help="install the Debian packages that are missing on this machine")
    build = commands.add_parser(
        "build", help="build the rescue system and a sample image, and print where they are"
    )
    _add_image(build)
    build.add_argument("--full-kernel", action="store_true", help="both with the drivers of real servers")
    serve = commands.add_parser("serve", help="serve the files of a directory over HTTP on 127.0.0.1")
    serve.add_argument("directory", type=Path)
    serve.add_argument("--port", type=int, default=0, help="default: a free one")
    serve.add_argument("--bytes-per-second", type=int, help="limit for each answer")
    demo = commands.add_parser("demo", help="deploy and boot an image in both firmware modes")
    demo.add_argument("--firmware", choices=_FIRMWARES, action="append", help="only this one")
    rescue = commands.add_parser("rescue-vm", help="open a rescue server on this terminal")
    rescue.add_argument("--firmware", choices=_FIRMWARES, default="legacy")
    rescue.add_argument("--bus", choices=("virtio", "sata", "scsi", "nvme"), default="virtio")
    rescue.add_argument("--disk-gib", type=int, default=8)
    rescue.add_argument("--memory-mib", type=int, default=2048)
    _add_image(rescue)
    matrix = commands.add_parser("boot-matrix", help="deploy and boot every image on every kind of server")
    matrix.add_argument(
        "--results", type=Path, required=True, help="kept between runs; what is in it is done"
    )
    matrix.add_argument("--document", type=Path, required=True, help="where the table goes")
    return parser


def _add_image(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--image", default="debian-12-generic", help="name of a recipe in image_recipe.py")


def _host_packages(_: argparse.Namespace) -> None:
    from .packages import install_missing

    installed = install_missing()
    print(f"installed: {' '.join(installed)}" if installed else "all packages are there")


def _build(arguments: argparse.Namespace) -> None:
    from .build import rescue_and_image
    from .image_recipe import with_full_kernel

    recipe = _recipe(arguments)
    if arguments.full_kernel:
        recipe = with_full_kernel(recipe)
    rescue, image = rescue_and_image(recipe, kernel_package=recipe.kernel_package)
    for what, path in (
        ("kernel", rescue.kernel),
        ("initrd", rescue.initrd),
        ("ssh key", rescue.key.private),
        ("qcow2", image.qcow2.path),
    ):
        print(f"{what:8} {path} ({path.stat().st_size / 1e6:.1f} MB)")
    print(f"{'sha256':8} {image.qcow2.sha256}")


def _recipe(arguments: argparse.Namespace) -> ImageRecipe:
    from .image_recipe import RECIPES

    if arguments.image not in RECIPES:
        raise TestbedError(f"no image {arguments.image}", hint="There are: " + ", ".join(RECIPES))
    return RECIPES[arguments.image]


def _serve(arguments: argparse.Namespace) -> None:
    from .file_server import FileServer

    with FileServer(
        arguments.directory, port=arguments.port, bytes_per_second=arguments.bytes_per_second, log=print
    ) as server:
        print(f"http://127.0.0.1:{server.port}/ (from a virtual server: {server.url('')})", flush=True)
        server.wait()


def _demo(arguments: argparse.Namespace) -> None:
    from .demo import demo
    from .server_config import BOOT_MODES, Firmware

    demo(tuple(Firmware(mode) for mode in arguments.firmware or BOOT_MODES))


def _rescue_vm(arguments: argparse.Namespace) -> None:
    from .rescue_vm import rescue_vm
    from .server_config import Bus, Firmware

    rescue_vm(
        firmware=Firmware(arguments.firmware),
        bus=Bus(arguments.bus),
        disk_gib=arguments.disk_gib,
        memory_mib=arguments.memory_mib,
        recipe=_recipe(arguments),
    )


def _boot_matrix(arguments: argparse.Namespace) -> None:
    from .boot_matrix_run import run_cells
    from .boot_matrix_table import missing_rows, note_result, read_results, write_table

    for cells in missing_rows(read_results(arguments.results)):
        for outcome in run_cells(cells, tell=lambda text: print(text, flush=True)):
            note_result(arguments.results, outcome)
    write_table(arguments.document, read_results(arguments.results))


_COMMANDS = {
    "host-packages": _host_packages,
    "build": _build,
    "serve": _serve,
    "demo": _demo,
    "rescue-vm": _rescue_vm,
    "boot-matrix": _boot_matrix,
}

if __name__ == "__main__":
    sys.exit(main())
