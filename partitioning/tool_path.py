"""Where programs of others are looked for, whatever the caller's PATH says."""

import shutil

TOOL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def available(tool: str) -> bool:
    """Tell whether ``tool`` is installed."""
    return shutil.which(tool, path=TOOL_PATH) is not None
