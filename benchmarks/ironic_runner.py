"""Deploys an image with ironic-python-agent's own code: URL, sha256 and disk are the arguments.

Runs in the virtual environment of ironic.py. What calls `prepare_image` in a server is Ironic, through the
agent's API; what it asks of the hardware manager is which disk to take, and that answer is given here.
"""

import sys
from typing import Any

# `config` declares the options that the other modules ask for when they are imported.
from ironic_python_agent import config, hardware
from ironic_python_agent.extensions.base import AgentCommandStatus
from ironic_python_agent.extensions.standby import StandbyExtension
from oslo_log import log


def main() -> int:
    """Deploy; 1 when the agent says that it failed."""
    url, sha256, disk = sys.argv[1:]
    log.register_options(config.CONF)
    config.CONF([], project="ironic-python-agent", default_config_files=[], default_config_dirs=[])
    log.setup(config.CONF, "ironic-python-agent")
    answers = {"get_os_install_device": disk}

    def answer(method: str, *_: Any, **__: Any) -> str:
        return answers[method]

    hardware.dispatch_to_managers = answer
    image_info = {
        "id": "image",
        "urls": [url],
        "os_hash_algo": "sha256",
        "os_hash_value": sha256,
        "disk_format": "qcow2",
        "image_type": "whole-disk",
        "node_uuid": "local",
    }
    command = StandbyExtension().prepare_image(image_info=image_info)
    command.join()
    print(command.command_status, command.command_result or command.command_error)
    return 0 if command.command_status == AgentCommandStatus.SUCCEEDED else 1


if __name__ == "__main__":
    sys.exit(main())
