"""A request that comes by a call: as any other, but for what only somebody on the server may ask for."""

import json
from collections.abc import Iterator

from agent.errors import RequestError
from agent.request.model import Request
from agent.request.parse import load_json, parse


def posted_request(text: bytes, name: str) -> bytes:
    """Check a request for the server ``name``, and give it as it is to be carried out. Raises RequestError.

    The server reboots in the end unless ``options.reboot`` says no.
    """
    document = load_json(text)
    request = parse(document)
    _refuse_own_files(request)
    _refuse_other_name(request, name)
    options = {**document.get("options", {}), "serviceName": name}
    options["reboot"] = request.options.reboot is not False
    # As it came, and not six bytes for a letter: it would be longer than a request may be.
    return json.dumps({**document, "options": options}, ensure_ascii=False).encode(errors="surrogatepass")


def _refuse_own_files(request: Request) -> None:
    """Refuse images that are files of this server: whoever calls from elsewhere must not get to read them."""
    for field in _file_urls(request):
        raise RequestError(
            f"The request is wrong: {field}: file URLs are not taken by this call.",
            detail="They name files of the server itself, and are for commands that are given on it.",
            hint="Give an http or https URL, or run byoi-agent deploy on the server.",
        )


def _file_urls(request: Request) -> Iterator[str]:
    if request.url.startswith("file:"):
        yield "URL"
    for number, mirror in enumerate(request.options.mirrors):
        if mirror.startswith("file:"):
            yield f"options.mirrors.{number}"


def _refuse_other_name(request: Request, name: str) -> None:
    if request.options.service_name not in (None, name):
        raise RequestError(
            "The request is wrong: options.serviceName is not the name in the URL.",
            detail="The name of the server stands in the URL of the call.",
            hint="Leave options.serviceName out.",
        )
