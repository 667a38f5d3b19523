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


_FULL_KERNEL = "linux-image-amd64"
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
    image = commands.add_parser("rescue-image", help="build the rescue system as files to ship")
    image.add_argument("target", type=Path, help="the directory they go to")
    image.add_argument("--ssh-key", type=Path, action="append", default=[], help="public keys of root")
    image.add_argument("--disk-groups", type=Path, help="the file that pins disk groups")
    image.add_argument("--overlay", type=Path, help="a directory that is laid over the system")
    image.add_argument("--parameters", default="", help="words for the kernel's command line")
    image.add_argument("--package", action="append", default=[], help="another Debian package to have in it")
    image.add_argument("--kernel", default=_FULL_KERNEL, help="the kernel's Debian package")
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
        ("kernel", rescue.files.kernel),
        ("initrd", rescue.files.initrd),
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


def _rescue_image(arguments: argparse.Namespace) -> None:
    from .build import CHECKOUT
    from .rescue_image import Wishes, build_rescue_image, described, read_disk_groups, read_keys
    from .site_layer import Site

    site = Site(
        ssh_keys=read_keys(arguments.ssh_key),
        disk_groups=read_disk_groups(arguments.disk_groups),
        overlay=arguments.overlay,
    )
    if not site.ssh_keys and "byoi.ssh-key=" not in arguments.parameters:
        print("No SSH key is in it: nobody can log in, unless byoi.ssh-key is on the kernel's command line.")
    wishes = Wishes(
        site=site,
        parameters=arguments.parameters,
        kernel_package=arguments.kernel,
        more_packages=tuple(arguments.package),
    )
    build_rescue_image(CHECKOUT, arguments.target, wishes)
    print("\n".join([f"In {arguments.target}:", *described(arguments.target)]))


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
    "rescue-image": _rescue_image,
    "boot-matrix": _boot_matrix,
}

if __name__ == "__main__":
    sys.exit(main())
