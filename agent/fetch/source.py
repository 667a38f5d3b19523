"""Where an image comes from."""

from dataclasses import dataclass, replace
from pathlib import Path

from agent.fetch.redaction import public_url

RESERVED_HEADERS = frozenset(
    ("accept-encoding", "connection", "content-length", "if-range", "range", "te", "transfer-encoding")
)
"""Names, in lower case, of what the agent sets itself: these decide how a message is framed and which bytes
come. A customer's value would break the download, so it is never sent."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Source:
    """A URL and how to ask for it. Header values, user info, query and proxy are secrets."""

    url: str
    mirrors: tuple[str, ...] = ()
    """Where else the same file is."""
    headers: tuple[tuple[str, str], ...] = ()
    """Names and values; sent to the URL's own host only, not to one it redirects to."""
    proxy: str | None = None
    """The URL of a proxy; takes precedence over the environment, no_proxy included."""
    ca_file: Path | None = None
    """PEM file with the certificates to trust instead of the system's."""
    trust_env: bool = True
    """Take http_proxy, https_proxy, all_proxy and no_proxy from the environment."""

    @property
    def is_file(self) -> bool:
        """Tell whether it is a file of this system."""
        return self.url.startswith("file:")

    def mirrored_at(self, url: str) -> "Source":
        """Give a mirror of it. The headers are for the URL's own host, and no mirror gets them."""
        return replace(self, url=url, mirrors=(), headers=())

    def __repr__(self) -> str:
        """Show what is not a secret."""
        names = [name for name, _ in self.headers]
        proxy = public_url(self.proxy) if self.proxy else None
        return f"Source({public_url(self.url)!r}, headers={names}, proxy={proxy!r}, ca_file={self.ca_file})"
