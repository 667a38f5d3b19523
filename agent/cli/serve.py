"""``byoi-agent serve``: the three calls over HTTP, and the page to watch."""

import ssl
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from agent.deployment.target import read_group_config
from agent.errors import RequestError
from agent.exit_codes import ExitCode
from agent.own_command import own_command
from agent.run_directory import run_directory
from agent.serve.application import Served
from agent.serve.credentials import DEFAULT_CREDENTIALS, Credentials, read_credentials
from agent.serve.deployment_process import DeployCommand, deploy_words
from agent.serve.listening import Address, listen, parse_address
from agent.serve.server import Place
from agent.serve.server import serve as serve_until_told_to_end
from agent.serve.tls import server_context


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeFlags:
    """What the command line says."""

    address: str
    credentials: Path | None
    service_name: str | None
    base_url: str | None
    certificate: Path | None
    key: Path | None
    config: Path | None


def serve(flags: ServeFlags) -> int:
    """Serve until a signal comes."""
    address = parse_address(flags.address)
    credentials = _credentials(flags.credentials)
    if credentials is None and not address.is_loopback:
        raise _wrong(
            "--listen: without credentials only a loopback address, such as 127.0.0.1:8080, is listened on.",
            "Everybody who reaches the server could erase its disk. Give the keys with --credentials FILE.",
        )
    if credentials is None and flags.base_url is not None:
        raise _wrong(
            "--base-url: it is for a proxy, and there are no credentials.",
            "Everybody whose calls the proxy passes on could erase this server's disk. Give the keys with"
            " --credentials FILE.",
        )
    read_group_config(flags.config)  # what is wrong with it is said now, and not to the first who calls
    where = run_directory()
    served = Served(
        command=DeployCommand(words=deploy_words(own_command(), flags.config), where=where),
        credentials=credentials,
        service_name=flags.service_name,
        base_url=_base_url(flags.base_url),
    )
    tls = _tls(flags)
    with listen(address) as listening:
        bound = Address(host=address.host, port=listening.getsockname()[1])
        _say_where(bound, served, encrypted=tls is not None)
        serve_until_told_to_end(served, Place(listening=listening, tls=tls))
    return ExitCode.DONE


def _credentials(path: Path | None) -> Credentials | None:
    if path is not None:
        return read_credentials(path)
    try:
        is_there = DEFAULT_CREDENTIALS.exists()
    except PermissionError:
        is_there = True  # who can not look has to be told that there may be some
    return read_credentials(DEFAULT_CREDENTIALS) if is_there else None


def _base_url(text: str | None) -> str | None:
    if text is None:
        return None
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise _wrong(
            "--base-url: an http or https URL without a query is expected.",
            "Give what clients call this server by, without /1.0: https://byoi.example",
        )
    return text.rstrip("/").removesuffix("/1.0")


def _tls(flags: ServeFlags) -> ssl.SSLContext | None:
    if flags.certificate is None:
        if flags.key is not None:
            raise _wrong("--tls-key goes with --tls-certificate.", "Give both, or none.")
        return None
    return server_context(flags.certificate, flags.key)


def _say_where(bound: Address, served: Served, *, encrypted: bool) -> None:
    url = bound.url("https" if encrypted else "http")
    sys.stdout.write(f"The calls: {served.base_url or url}/1.0\nThe page to watch: {url}/\n")
    sys.stdout.flush()
    if served.credentials is None:
        sys.stderr.write("There are no credentials: whoever is on this server may call.\n")
    elif not (encrypted or bound.is_loopback):
        sys.stderr.write(
            "Warning: without TLS, everybody on the way can read the requests (user data, headers, keys for"
            " downloads) and the page's password. Give a certificate with --tls-certificate.\n"
        )


def _wrong(detail: str, hint: str) -> RequestError:
    return RequestError("The command line of byoi-agent serve is wrong.", detail=detail, hint=hint)
