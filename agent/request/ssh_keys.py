"""OpenSSH public keys as they stand in a request: one a line, checked for being what they claim."""

import base64

_TYPES = frozenset(
    {
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ecdsa-sha2-nistp256@openssh.com",
        "sk-ssh-ed25519@openssh.com",
        "ssh-dss",
        "ssh-ed25519",
        "ssh-rsa",
    }
)


def lines(value: str) -> tuple[str, ...]:
    """Give the keys that stand in ``value``, without blank lines and comments."""
    stripped = (line.strip() for line in value.splitlines())
    return tuple(line for line in stripped if line and not line.startswith("#"))


def check(value: str) -> str:
    """Return ``value`` when every line is a public key, else raise ValueError that names the line."""
    keys = lines(value)
    if not keys:
        raise ValueError("it holds no key")
    for number, key in enumerate(keys, start=1):
        _check_key(number, key)
    return value


def _check_key(number: int, key: str) -> None:
    if "PRIVATE KEY" in key:
        raise ValueError(f"key {number} is a private key; give the public one (the .pub file)")
    fields = key.split(None, 2)
    if len(fields) < 2 or fields[0] not in _TYPES:
        raise ValueError(f"key {number} does not begin with a known key type such as ssh-ed25519")
    if not _is_whole(fields[1], fields[0]):
        raise ValueError(f"key {number} is damaged: its data is not that of a key of type {fields[0]}")


def _is_whole(text: str, kind: str) -> bool:
    # RFC 4253, section 6.6: the type, then what the type asks for, each as a length and so many bytes.
    try:
        blob = base64.b64decode(text, validate=True)
    except ValueError:
        return False
    fields, offset = [], 0
    while offset + 4 <= len(blob):
        length = int.from_bytes(blob[offset : offset + 4], "big")
        fields.append(blob[offset + 4 : offset + 4 + length])
        offset += 4 + length
    return offset == len(blob) and len(fields) > 1 and fields[0] == kind.encode()
