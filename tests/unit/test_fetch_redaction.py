from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.fetch.redaction import NOT_A_URL, public_url
from agent.fetch.source import Source


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host/image.qcow2", "https://host/image.qcow2"),
        ("http://user:SECRET@host:8080/a/b?token=SECRET#SECRET", "http://host:8080/a/b"),
        ("http://SECRET@[::1]:80/x", "http://[::1]:80/x"),
        ("http://a@SECRET@host/x", "http://host/x"),
        ("HTTPS://Host/x?SECRET", "https://Host/x"),
        ("http://host?SECRET", "http://host"),
        ("http://host/\x1b[2J\u202ex", "http://host/?[2J?x"),
        ("user:SECRET@host/x", NOT_A_URL),
        ("ftp://user:SECRET@host/x", NOT_A_URL),
        ("http:///SECRET", NOT_A_URL),
        ("http://[SECRET/x", NOT_A_URL),
        ("", NOT_A_URL),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    assert public_url(url) == shown


@given(st.text())
def test_any_text_can_be_shown(text: str) -> None:
    assert public_url(f"http://{text}").isprintable()


def test_a_source_hides_its_secrets() -> None:
    source = Source(
        url="https://user:SECRET@host/image?sig=SECRET",
        headers=(("X-Token", "SECRET"),),
        proxy="http://user:SECRET@proxy:3128",
        ca_file=Path("/etc/ca.pem"),
    )
    for text in (repr(source), str(source), f"{source!r}", f"{[source]}"):
        assert "SECRET" not in text
        assert "https://host/image" in text
        assert "X-Token" in text
