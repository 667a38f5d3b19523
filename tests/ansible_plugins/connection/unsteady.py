"""An Ansible connection to this machine that is lost while the file exists that UNSTEADY names."""

import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = """
name: unsteady
short_description: A local connection that can be lost
description: It is lost while the file exists that UNSTEADY names.
extends_documentation_fragment: [connection_pipelining]
"""


class Connection(Local):
    transport = "unsteady"

    def exec_command(self, *args: Any, **more: Any) -> Any:
        answer = super().exec_command(*args, **more)
        lost = Path(os.environ["UNSTEADY"])
        if lost.exists():  # looked at afterwards: the command may have run, its answer does not arrive
            lost.with_suffix(".seen").touch()
            raise AnsibleConnectionFailure("the test has cut the connection")
        return answer

    def reset(self) -> None:
        pass
