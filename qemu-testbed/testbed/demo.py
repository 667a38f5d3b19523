"""The demonstration: deploys a cloud image onto a virtual server and boots it, in both firmware modes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from .build import rescue_and_image
from .deployment import USER_DATA_MARK, deploy, request_for, used_disk, wait_for_cloud_init
from .errors import TestbedError
from .file_server import FileServer
from .keys import KeyPair, generate
from .narration import Narrator, table
from .rescue import RescueSystem
from .sample_image import SampleImage
from .server_config import BOOT_MODES, Disk, Firmware, ServerConfig
from .ssh import SshConnection
from .vm import VirtualServer

# Generous: an emulated processor on a busy machine takes several times what a quiet one does.
_BOOT_SECONDS = 300.0
_DISK_BYTES = 8 << 30


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """What one run of the demonstration works with."""

    firmware: Firmware
    directory: Path
    rescue: RescueSystem
    image: SampleImage
    server: FileServer
    user_key: KeyPair

    @property
    def hostname(self) -> str:
        return f"web-{self.firmware}"

    def config(self, *, rescue: bool) -> ServerConfig:
        """The virtual server, once started into the rescue system and once from its own disk."""
        return ServerConfig(
            name=f"{self.hostname}-{'rescue' if rescue else 'disk'}",
            firmware=self.firmware,
            disks=(Disk(path=self.directory / "disk.raw", serial="DEMO0001"),),
            kernel_boot=self.rescue.boot() if rescue else None,
            firmware_variables=self.directory / "variables.fd",
        )


def demo(modes: tuple[Firmware, ...] = BOOT_MODES) -> None:
    """Run the demonstration under each of the firmwares, and end with a table of what took how long."""
    builder = Narrator("build")
    builder.say("rescue system and sample image: from the cache, or built now (about two minutes)")
    rescue, image = rescue_and_image()
    builder.say(f"there: {image.qcow2.path.name}, {image.qcow2.path.stat().st_size / 1e6:.0f} MB")
    builder.phase_done("build")
    narrators = {}
    with FileServer(image.directory) as server:
        for firmware in modes:
            with tempfile.TemporaryDirectory(prefix="byoi-demo-") as name:
                directory = Path(name)
                stage = _Stage(
                    firmware=firmware,
                    directory=directory,
                    rescue=rescue,
                    image=image,
                    server=server,
                    user_key=generate(directory, comment="demo-user"),
                )
                narrators[firmware] = _run(stage)
    print(_summary(image, builder, narrators))


def _run(stage: _Stage) -> Narrator:
    narrator = Narrator(stage.firmware)
    used_disk(stage.directory / "disk.raw", _DISK_BYTES)
    narrator.say("starting the server into the rescue system; its disk holds 8 GiB of somebody's old data")
    with VirtualServer(stage.config(rescue=True)) as server:
        shell = server.wait_for_ssh(stage.rescue.key, timeout=_BOOT_SECONDS)
        narrator.say("the rescue system answers over SSH")
        narrator.phase_done("rescue system up")
        _deploy(stage, shell, narrator)
        narrator.phase_done("deployment")
        server.power_off(timeout=_BOOT_SECONDS)
    narrator.say("powered off; now starting from the disk alone")
    with VirtualServer(stage.config(rescue=False)) as server:
        guest = server.wait_for_ssh(stage.user_key, user="debian", timeout=_BOOT_SECONDS)
        narrator.say("the user's own key opens the deployed system")
        narrator.phase_done("first boot to login")
        errors = wait_for_cloud_init(guest, timeout=_BOOT_SECONDS)
        narrator.phase_done("cloud-init finished")
        _show(guest, narrator, errors)
    return narrator


def _deploy(stage: _Stage, shell: SshConnection, narrator: Narrator) -> None:
    image = stage.image.qcow2
    request = request_for(
        image,
        stage.server.url(image.path.name),
        hostname=stage.hostname,
        ssh_key=stage.user_key.public,
        metadata={"role": "web", "rack": "r42"},
    )
    narrator.say(f"byoi-agent deploy - --yes --json   (URL {request['URL']})")
    run = deploy(shell, request, on_event=narrator.agent_event)
    if run.exit_code != 0:
        raise TestbedError(
            f"the deployment ended with exit code {run.exit_code}: {run.last}\n{run.stderr[-3000:]}"
        )


def _show(guest: SshConnection, narrator: Narrator, errors: list[str]) -> None:
    root = guest.output("findmnt", "--noheadings", "--output", "SOURCE,FSTYPE,SIZE", "/")
    narrator.say(f"hostname:        {guest.output('hostname')}")
    narrator.say(f"root:            {root}")
    narrator.say(f"user data ran:   {guest.output('cat', USER_DATA_MARK)}")
    narrator.say(
        f"metadata:        {guest.output('cloud-init', 'query', 'ds.meta_data.meta')}".replace("\n", "")
    )
    narrator.say(f"uptime:          {guest.output('uptime', '--pretty')}")
    narrator.say(f"cloud-init:      {errors or 'done, without errors'}")


def _summary(image: SampleImage, builder: Narrator, narrators: dict[Firmware, Narrator]) -> str:
    phases = list(next(iter(narrators.values())).phases)
    rows = [["seconds", *narrators]]
    rows += [[phase, *(f"{one.phases[phase]:.1f}" for one in narrators.values())] for phase in phases]
    rows.append(["together", *(f"{sum(narrator.phases.values()):.1f}" for narrator in narrators.values())])
    deployed = (
        f"{image.qcow2.path.name} onto an 8 GiB disk, hosts {', '.join(f'web-{mode}' for mode in narrators)}"
    )
    built = f"build (or cache): {builder.phases['build']:.1f} s; everything: {builder.elapsed:.1f} s"
    return f"\nDeployed: {deployed}\n\n{table(rows)}\n\n{built}"
