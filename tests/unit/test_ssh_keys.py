import base64
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.request import ssh_keys
from tests.agent_process import SSH_KEY

TYPES = [
    "ssh-rsa",
    "ssh-dss",
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
]
KIND, DATA, COMMENT = SSH_KEY.split()


def blob(*fields: bytes) -> str:
    """A key's data as in RFC 4253, section 6.6."""
    packed = b"".join(struct.pack(">I", len(field)) + field for field in fields)
    return base64.b64encode(packed).decode()


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_of_openssh(kind: str) -> None:
    for rest in ("", " me@home", " a comment with spaces and ü"):
        key = f"{kind} {blob(kind.encode(), bytes(32), b'more')}{rest}"
        assert ssh_keys.check(key) == key


def test_a_last_field_may_be_empty() -> None:
    assert ssh_keys.check(f"{KIND} {blob(KIND.encode(), bytes(32), b'')}")


def test_one_a_line() -> None:
    text = f"\n# laptop\n  {SSH_KEY}  \r\n\n{KIND}\t{DATA}\n"
    assert ssh_keys.check(text) == text
    assert ssh_keys.lines(text) == (SSH_KEY, f"{KIND}\t{DATA}")


@pytest.mark.parametrize("length", range(len(DATA)))
def test_a_key_that_lost_its_end(length: int) -> None:
    with pytest.raises(ValueError, match=r"key 1 (is damaged|does not begin)"):
        ssh_keys.check(f"{KIND} {DATA[:length]}")


@pytest.mark.parametrize(
    "key",
    [
        f"ssh-rsa {DATA}",
        f"{KIND} {blob(KIND.encode())}",
        f"{KIND} {blob(b'ssh-ed25518', bytes(32))}",
        f"{KIND} {DATA}AAAA",
        f"{KIND} {DATA[:-4]}====",
        f"{KIND} {DATA[:20]}ä{DATA[21:]}",
        f"{KIND} {DATA[:20]}-{DATA[21:]}",
    ],
)
def test_data_that_is_not_that_of_the_type(key: str) -> None:
    with pytest.raises(ValueError, match="key 1 is damaged: its data is not that of a key of type ssh-"):
        ssh_keys.check(key)


@pytest.mark.parametrize("key", ["rubbish", KIND, f"ssh-foo {DATA}", f'command="x" {SSH_KEY}', DATA])
def test_lines_that_are_no_key(key: str) -> None:
    with pytest.raises(ValueError, match="key 2 does not begin with a known key type"):
        ssh_keys.check(f"{SSH_KEY}\n{key}")


def test_a_private_key() -> None:
    with pytest.raises(ValueError, match="key 1 is a private key; give the public one"):
        ssh_keys.check("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n-----END OPENSSH PRIVATE KEY-----")


@pytest.mark.parametrize("text", ["", " \n\t", "# nothing\n#"])
def test_no_key(text: str) -> None:
    with pytest.raises(ValueError, match="it holds no key"):
        ssh_keys.check(text)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60) | st.builds("{} {}".format, st.sampled_from(TYPES), st.text(max_size=30)))
def test_nothing_but_a_value_error(text: str) -> None:
    try:
        ssh_keys.check(text)
    except ValueError as error:
        assert type(error) is ValueError
        assert "key" in str(error)
