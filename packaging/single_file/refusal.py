"""Ends the program before it has begun. Readable for any Python 3."""

import sys

EXIT_CODE = 3


def refuse(message: str, detail: str, hint: str) -> None:
    """Say what is wrong and what to do, for people and, where they are asked for, as JSON; and exit."""
    if "--json" in sys.argv:
        import json
        import socket

        status = {"servername": socket.gethostname(), "status": "error", "message": message, "checksum": None}
        event = dict(status, v=1, event="error", exitCode=EXIT_CODE, detail=detail, hint=hint)
        sys.stdout.write(json.dumps(event) + "\n")
    sys.stderr.write("Error: %s\n  %s\n  What to do: %s\n" % (message, detail, hint))
    sys.exit(EXIT_CODE)
