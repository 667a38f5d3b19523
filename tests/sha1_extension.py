"""What somebody can do who has seen a SHA-1 of a secret and a text: go on with it."""


def extended(digest: str, *, text: bytes, before: int, more: bytes) -> tuple[bytes, str]:
    """Go on with a SHA-1 (FIPS 180-4): give what has to stand before ``more``, and the sum of it all.

    ``text`` is the end of what ``digest`` is the sum of, and ``before`` how many bytes came before it.
    """
    length = before + len(text)
    padding = b"\x80" + bytes((55 - length) % 64) + (8 * length).to_bytes(8, "big")
    state = [int(digest[at : at + 8], 16) for at in range(0, 40, 8)]
    whole = length + len(padding) + len(more)
    rest = more + b"\x80" + bytes((55 - whole) % 64) + (8 * whole).to_bytes(8, "big")
    for at in range(0, len(rest), 64):
        state = sha1_block(state, rest[at : at + 64])
    return text + padding, "".join(f"{word:08x}" for word in state)


def sha1_block(state: list[int], block: bytes) -> list[int]:
    def turned(word: int, by: int) -> int:
        return (word << by | word >> 32 - by) & 0xFFFFFFFF

    words = [int.from_bytes(block[at : at + 4], "big") for at in range(0, 64, 4)]
    for at in range(16, 80):
        words.append(turned(words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16], 1))
    a, b, c, d, e = state
    for at, word in enumerate(words):
        mixed, constant = [
            (b & c | ~b & d, 0x5A827999),
            (b ^ c ^ d, 0x6ED9EBA1),
            (b & c | b & d | c & d, 0x8F1BBCDC),
            (b ^ c ^ d, 0xCA62C1D6),
        ][at // 20]
        a, b, c, d, e = (turned(a, 5) + mixed + e + constant + word) & 0xFFFFFFFF, a, turned(b, 30), c, d
    return [(one + other) & 0xFFFFFFFF for one, other in zip(state, (a, b, c, d, e), strict=True)]
