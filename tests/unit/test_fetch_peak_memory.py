"""A download holds its body once: in the spool."""

import subprocess
import sys
from pathlib import Path

from tests.misbehaving_server import Client, MisbehavingServer, head

SIZE = 300 << 20
HEAP_LIMIT_MIB = 60

# The spool is written and never mapped, so that its pages do not count as this process' resident memory.
PROGRAM = """
import re, sys
from agent.fetch.digest import ChecksumKind, Digest
from agent.fetch.download import download
from agent.fetch.memory import MemoryBudget
from agent.fetch.source import Source
from agent.fetch.spool import Spool

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024

with Spool() as spool:
    result = download(Source(url=sys.argv[1], trust_env=False), spool,
                      digest=Digest(also=[ChecksumKind.SHA256]), budget=MemoryBudget(reserve=0))
    print(result.size, spool.pread(3, result.size - 3), peak())
"""


def test_a_300_mb_image_is_not_in_the_heap() -> None:
    piece = bytes(1 << 20)

    def large(client: Client) -> None:
        client.send(head(200, {"Content-Length": str(SIZE)}))
        for _ in range(SIZE // len(piece) - 1):
            client.send(piece)
        client.send(piece[3:] + b"end")

    with MisbehavingServer() as server:
        command = [sys.executable, "-c", PROGRAM, server.on("/image", large)]
        root = Path(__file__).parents[2]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=root)
    size, last, peak = done.stdout.split()
    assert (size, last) == (str(SIZE), "b'end'")
    assert int(peak) < HEAP_LIMIT_MIB
