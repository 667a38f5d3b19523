"""What a deployment takes besides moving bytes: all steps but the download, on a block device."""

from pathlib import Path

from tests.agent_process import CONFIGDRIVE, Agent, Ended, request_for
from tests.disk.conftest import MakeLoop, serve
from tests.disk.test_boot_changes import LOADERS, MENU, with_root
from tests.misbehaving_server import MisbehavingServer
from tests.small_images import MIB, gpt_image, qcow2, random_file

MOST_SECONDS = 1.0
STEPS = {
    "disk",
    "inspect",
    "release",
    "wipe",
    "write",
    "flush",
    "gpt",
    "esp",
    "configdrive",
    "verify",
    "activate",
}


def seconds_without_the_download(ended: Ended) -> float:
    took: dict[str, float] = {
        event["step"]: event["seconds"] for event in ended.events if event["event"] == "step_finished"
    }
    assert took.keys() - {"fetch"} == STEPS
    return sum(took[step] for step in STEPS)


def test_little_but_moving_bytes_takes_time(
    agent: Agent, server: MisbehavingServer, tmp_path: Path, make_loop: MakeLoop
) -> None:
    """An image with next to no data gets an ESP with a loader, and a ConfigDrive."""
    loaders = tmp_path / "loaders"
    loaders.mkdir()
    for name, content in LOADERS.items():
        (loaders / name).write_bytes(content)
    raw = with_root(gpt_image(tmp_path / "image.raw", esp=False), files={"boot/grub/grub.cfg": MENU})
    url = serve(server, qcow2(raw, "-c"))
    device = make_loop(random_file(tmp_path / "disk", 176 * MIB))
    uefi = Agent(run_directory=agent.run_directory, environment={"BYOI_AGENT_LOADERS": str(loaders)})
    seconds = []
    for _ in range(3):
        request = request_for(url, device, configdrive=CONFIGDRIVE, options={"bootType": "uefi"})
        ended = uefi.deploy(request)
        assert ended.code == 0, ended.people
        seconds.append(seconds_without_the_download(ended))
    # The best of some: another process may have been in the way of the others.
    assert min(seconds) < MOST_SECONDS, seconds
