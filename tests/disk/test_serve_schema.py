"""schemathesis makes up calls from the OpenAPI document: none ends in a 500, and the document is true."""

import subprocess
import sys
import threading
from pathlib import Path

import requests

from tests.serve_process import Server, serving

HARMLESS = ("-m", "tests.harmless_serve")
# Not among them: that what the schema allows is taken, and all else refused. The rules that JSON Schema can
# not tell (a sum goes with its kind, a URL with its scheme) stand in the code.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)


def test_calls_that_were_made_up(tmp_path: Path) -> None:
    with serving(tmp_path / "run", argv=HARMLESS) as running:
        told: list[str] = []
        assert running.process.stderr is not None
        reader = threading.Thread(target=told.extend, args=(running.process.stderr,))
        reader.start()
        done = schemathesis(running, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        running.process.terminate()
        assert running.process.wait(30) == 0
        reader.join()
    assert not [line for line in told if "DEFECT" in line]
    # Some were right, and some were wrong in ways that only the request's own rules tell.
    for beginning in ("POST from 127.0.0.1: taken", "POST from 127.0.0.1: BAD_REQUEST, Please provide"):
        assert any(line.startswith(beginning) for line in told), told


def schemathesis(running: Server, folder: Path) -> "subprocess.CompletedProcess[str]":
    words = ["--checks", ",".join(CHECKS), "--max-examples", "10", "--seed", "1", "--workers", "2"]
    quiet = ["--no-color", "--warnings", "off", "--suppress-health-check", "all"]
    return subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", *words, *quiet, f"{running.url}/1.0/openapi.json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        timeout=200,
    )


def test_the_document(tmp_path: Path) -> None:
    with serving(tmp_path / "run", argv=HARMLESS) as running:
        document = requests.get(f"{running.url}/1.0/openapi.json", timeout=10).json()
    image = "/1.0/dedicated/server/{serviceName}/bringYourOwnImage"
    assert document["paths"].keys() == {"/1.0/auth/time", image}
    assert document["paths"][image].keys() == {"get", "post", "delete"}
    assert "URL" in document["components"]["schemas"]["Request"]["properties"]
