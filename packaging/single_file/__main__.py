"""What Python starts first. It has to be readable for any Python 3, to say what is wrong with an old one."""

import os
import sys

from single_file.refusal import refuse

# Other processes of the same program are started from the same file, from wherever they are.
__file__ = os.path.abspath(__file__)
_FILE = os.path.dirname(__file__)

if sys.version_info < (3, 11):
    refuse(
        "byoi-agent needs Python 3.11 or newer.",
        "This is Python %d.%d (%s)." % (sys.version_info[0], sys.version_info[1], sys.executable),
        "Boot a newer rescue system, such as Debian 12, or start the file with a newer Python.",
    )
if not (sys.flags.isolated and sys.flags.no_site) and sys.executable:
    # PYTHONPATH, packages of the system or of a user, and their .pth files must not get in between.
    os.execv(sys.executable, [sys.executable, "-I", "-S", _FILE] + sys.argv[1:])

from single_file.start import start  # noqa: E402 - an old Python can not read it

try:
    start(_FILE, globals()["__loader__"])
except KeyboardInterrupt:  # while it was unpacked: the next start does that anew
    sys.exit(130)

from agent.__main__ import main  # noqa: E402 - it has just been unpacked

main()
