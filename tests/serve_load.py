"""What slow and greedy clients cost a deployment that runs: ``python -m tests.serve_load`` tells the figures.

The deployment is that of an image over a link of a given rate, to a file. Beside it a thousand connections
send the head of a request byte by byte, and bodies of 20 MB come one after the other.
"""

import json
import os
import random
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.file_server import FileServer

from tests.agent_process import Agent, request_for, with_sum
from tests.serve_process import NAME, TOP, Server, serving
from tests.small_images import MIB, gpt_image, qcow2, random_file

SLOW = 1000
SECONDS = 6
"""How long the download takes."""

_BODY = 20_000_000
_HEAD = b"POST /1.0/dedicated/server/a/bringYourOwnImage HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a deployment took, in seconds."""

    wall: float
    cpu: float


@contextmanager
def load(server: Server, slow: int = SLOW) -> Iterator[None]:
    """Keep the server busy from a process of its own for the time of the block."""
    host, port = server.url.removeprefix("http://").split(":")
    words = [sys.executable, "-m", "tests.serve_load", "clients", host, port, str(slow)]
    paths = os.pathsep.join([str(TOP), str(TOP / "qemu-testbed")])
    environment = {**os.environ, "PYTHONPATH": paths}
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"all are there\n"
            yield
        finally:
            process.kill()


def clients(host: str, port: int, slow: int) -> None:
    """Be all the clients, until killed."""
    threading.Thread(target=_send_bodies, args=(host, port), daemon=True).start()
    selector, chance = selectors.DefaultSelector(), random.Random(1)
    for _ in range(slow):
        _open(selector, host, port)
    print("all are there", flush=True)
    while True:
        for key, _ in selector.select(0.02):  # the server has let one go
            selector.unregister(key.fileobj)
            _socket(key.fileobj).close()
            _open(selector, host, port)
        for key in chance.sample(list(selector.get_map().values()), slow // 50):
            try:
                _socket(key.fileobj).send(b"x")
            except OSError:
                continue


def _open(selector: selectors.BaseSelector, host: str, port: int) -> None:
    connection = socket.create_connection((host, port))
    connection.setblocking(False)
    connection.send(_HEAD)
    selector.register(connection, selectors.EVENT_READ)


def _socket(found: Any) -> socket.socket:
    assert isinstance(found, socket.socket)
    return found


def _send_bodies(host: str, port: int) -> None:
    head = f"{_HEAD.decode()}x\r\nContent-Type: application/json\r\nContent-Length: {_BODY}\r\n\r\n"
    while True:
        try:
            with socket.create_connection((host, port)) as connection:
                connection.sendall(head.encode() + bytes(_BODY))
        except OSError:
            pass
        time.sleep(0.5)


def deploy(agent: Agent, request: dict[str, Any]) -> Cost:
    """Deploy, and tell what it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    process = agent.start(request, "--service-name", NAME)
    ended = agent.wait(process)
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.code == 0, ended.people
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall=wall, cpu=cpu)


def answer_times(server: Server, count: int = 20) -> list[float]:
    """Ask for the time, again and again, and tell how long each answer took."""
    found = []
    for _ in range(count):
        started = time.monotonic()
        assert server.call("GET", f"{server.url}/1.0/auth/time").status_code == 200
        found.append(time.monotonic() - started)
    return found


@contextmanager
def prepared(folder: Path) -> Iterator[tuple[Server, Agent, dict[str, Any]]]:
    """Have a server, an agent, and a request for an image over a link."""
    image = qcow2(gpt_image(folder / "gpt.raw"), "-c")
    disk = random_file(folder / "disk", 160 * MIB)
    rate = image.stat().st_size // SECONDS
    with FileServer(folder, bytes_per_second=rate) as files, serving(folder / "run") as server:
        url = files.url(image.name, host="127.0.0.1")
        asked = request_for(url, disk, options={"reboot": False}, **with_sum(image))
        yield server, Agent(run_directory=server.run_directory), asked


def compare(folder: Path, rounds: int) -> dict[str, list[Cost]]:
    """Deploy with and without the clients, in turns."""
    found: dict[str, list[Cost]] = {"alone": [], "beside them": []}
    with prepared(folder) as (server, agent, asked):
        for _ in range(rounds):
            for name, costs in found.items():
                with load(server) if name == "beside them" else nullcontext():
                    costs.append(deploy(agent, asked))
    return found


def ratio(found: dict[str, list[Cost]], what: str) -> float:
    """Give how many times as much it takes beside them; of each kind the one disturbed least counts."""
    best = {name: min(getattr(cost, what) for cost in costs) for name, costs in found.items()}
    return float(best["beside them"] / best["alone"])


def main(rounds: int) -> None:
    """Measure, and print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        found = compare(Path(folder), rounds)
    with tempfile.TemporaryDirectory() as folder, prepared(Path(folder)) as (server, _, _), load(server):
        times = answer_times(server, 100)
    for name, costs in found.items():
        told = [f"{cost.wall:.2f} s ({cost.cpu:.2f} s CPU)" for cost in costs]
        print(f"a deployment {name}: {', '.join(told)}")
    for what in ("wall", "cpu"):
        print(f"{what}: {ratio(found, what):.3f} times as much")
    middle, last = statistics.median(times), max(times)
    print(json.dumps({"answer, median": round(middle, 4), "answer, longest": round(last, 4)}))


def run(words: Sequence[str]) -> None:
    """Carry out the command line."""
    if words[:1] == ["clients"]:
        clients(words[1], int(words[2]), int(words[3]))
    else:
        main(int(words[0]) if words else 3)


if __name__ == "__main__":
    run(sys.argv[1:])
