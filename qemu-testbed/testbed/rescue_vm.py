"""A rescue server to try things in by hand, on the terminal's own screen."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from .build import rescue_and_image
from .deployment import request_for, used_disk
from .file_server import FileServer
from .image_recipe import ImageRecipe, with_full_kernel
from .server_config import Bus, Disk, Firmware, ServerConfig
from .vm import VirtualServer


def rescue_vm(*, firmware: Firmware, bus: Bus, disk_gib: int, memory_mib: int, recipe: ImageRecipe) -> None:
    """Start a rescue server with a used disk, and the file server beside it; ends with the guest."""
    if bus is Bus.SATA:
        recipe = with_full_kernel(recipe)
    rescue, image = rescue_and_image(recipe, kernel_package=recipe.kernel_package)
    with tempfile.TemporaryDirectory(prefix="byoi-rescue-") as name, FileServer(image.directory) as server:
        disk = Disk(
            path=used_disk(Path(name) / "disk.raw", disk_gib << 30),
            bus=bus,
            serial="RESCUE01",
            logical_sector=recipe.logical_sector,
            physical_sector=recipe.logical_sector,
        )
        config = ServerConfig(
            name="rescue",
            firmware=firmware,
            memory_mib=memory_mib,
            disks=(disk,),
            kernel_boot=rescue.boot(),
        )
        url = server.url(image.qcow2.path.name)
        request = request_for(image.qcow2, url, hostname="web1", ssh_key=rescue.key.public)
        (Path(name) / "request.json").write_text(json.dumps(request, indent=2) + "\n", encoding="utf-8")
        with VirtualServer(config, terminal=True) as running:
            ssh = f"ssh -i {rescue.key.private} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
            login = f"{ssh} -p {running.ssh_port()} root@127.0.0.1"
            print(
                f"Serial console below, logged in as root. Ctrl-A X ends it, poweroff shuts it down.\n"
                f"From another terminal:\n  {login}\n"
                f"A whole deployment:\n  {login} byoi-agent deploy - --yes <{name}/request.json\n"
                f"Or in the server:\n  byoi-agent plan --url {url} --type qcow2\n",
                flush=True,
            )
            running.process.wait()
