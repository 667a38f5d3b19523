import pytest

from partitioning.uefi.certificate import printable, readable_name, subject_of
from partitioning.uefi.der import SEQUENCE, SignatureMalformed, expect, read_element


def sequence(*contents: bytes, tag: int = SEQUENCE) -> bytes:
    content = b"".join(contents)
    return bytes([tag, len(content)]) + content


def name(*parts: tuple[str, int, bytes]) -> bytes:
    """A distinguished name: of each part the kind, the tag and the text."""
    return sequence(
        *(
            sequence(
                sequence(sequence(bytes.fromhex(kind), tag=6), sequence(text, tag=tag)),
                tag=0x31,
            )
            for kind, tag, text in parts
        )
    )


@pytest.mark.parametrize(
    ("data", "content"),
    [
        (b"\x04\x00", b""),
        (b"\x04\x03abc and what follows", b"abc"),
        (b"\x04\x81\x03abc", b"abc"),
        (b"\x04\x84\x00\x00\x00\x03abc", b"abc"),
        (b"\x04\x82\x01\x00" + bytes(256), bytes(256)),
    ],
)
def test_an_element(data: bytes, content: bytes) -> None:
    found = read_element(data)
    assert found.content == content
    assert data.startswith(found.raw)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x04",
        b"\x04\x04abc",
        b"\x04\x82\x01",
        b"\x04\x80abc\x00\x00",
        b"\x04\x85\0\0\0\0\x01a",
        b"\x1f\x81\x01a",
    ],
    ids=["empty", "no length", "too long", "half a length", "indefinite", "length of 5 bytes", "long tag"],
)
def test_what_is_not_an_element(data: bytes) -> None:
    with pytest.raises(SignatureMalformed):
        read_element(data)


def test_children_have_to_fill_their_parent() -> None:
    assert [child.content for child in read_element(sequence(b"\x04\x01a", b"\x04\x01b")).children()] == [
        b"a",
        b"b",
    ]
    with pytest.raises(SignatureMalformed):
        read_element(sequence(b"\x04\x01a", b"\x04\x02b")).children()


def test_another_tag_than_expected() -> None:
    with pytest.raises(SignatureMalformed) as caught:
        expect(read_element(b"\x04\x00"), SEQUENCE)
    assert caught.value.detail == "A DER element has the tag 0x04 instead of 0x30."


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (name(("55040a", 0x13, b"Organization"), ("550403", 0x13, b"Common Name")), "Common Name"),
        (name(("55040a", 0x13, b"Organization")), "Organization"),
        (name(("550403", 0x0C, "Käse".encode())), "Käse"),
        (name(("550403", 0x1E, "Käse".encode("utf-16-be"))), "Käse"),
        (name(("550403", 0x14, "Käse".encode("latin-1"))), "Käse"),
        (name(("550403", 0x0C, b"\xff\x1b[2J")), "�?[2J"),
        (name(("550406", 0x13, b"DE")), "somebody without a name"),
        (name(), "somebody without a name"),
    ],
)
def test_names(data: bytes, expected: str) -> None:
    assert readable_name(read_element(data)) == expected


def test_long_names_are_cut() -> None:
    assert printable("x" * 100) == "x" * 100
    assert printable("x" * 101) == "x" * 99 + "…"


def test_the_subject_of_what_is_no_certificate() -> None:
    assert subject_of(b"junk") == "an unreadable certificate"
