"""EFI programs made by hand, keys made by openssl, and signatures made by sbsign."""

import struct
import uuid
from dataclasses import dataclass
from pathlib import Path

from tests.small_images import tool

_ALIGNMENT = 512
_PE_AT = 0x80
_OPTIONAL_SIZE = 240
_SECTION_SIZE = 40
OWNER = "77fa9abd-0359-4d32-bd60-28f4e78f784b"


def efi_program(
    sections: dict[str, bytes] | None = None, *, machine: int = 0x8664, directories: int = 16, gap: int = 0
) -> bytes:
    """A PE32+ file; ``gap`` bytes lie between headers and sections. Long names go to a string table."""
    contents = {".text": b"\xc3" * 700} | (sections or {})
    table_at = _PE_AT + 24 + _OPTIONAL_SIZE
    headers_size = _padded(table_at + _SECTION_SIZE * len(contents))
    offset = headers_size + gap
    address = 0x1000
    table, body, strings = b"", b"", b""
    for name, content in contents.items():
        short = name.encode()
        if len(short) > 8:
            short = f"/{len(strings) + 4}".encode()
            strings += name.encode() + b"\0"
        raw = _padded(len(content))
        table += struct.pack("<8sIIII12xI", short, len(content), address, raw, offset, 0x60000020)
        body += content.ljust(raw, b"\0")
        offset, address = offset + raw, address + (-(-raw // 4096) * 4096)
    symbols_at = offset if strings else 0
    coff = struct.pack("<HHIIIHH", machine, len(contents), 0, symbols_at, 0, _OPTIONAL_SIZE, 0x22)
    optional = struct.pack("<HBBIIIIIQII", 0x20B, 0, 0, 0, 0, 0, 0x1000, 0x1000, 0, 4096, _ALIGNMENT)
    optional += struct.pack("<HHHHHHIIIIHH", 0, 0, 0, 0, 0, 0, 0, address, headers_size, 0, 10, 0)
    optional += struct.pack("<QQQQII", 0, 0, 0, 0, 0, directories)
    optional = optional.ljust(_OPTIONAL_SIZE, b"\0")
    dos = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", _PE_AT)
    headers = dos.ljust(_PE_AT, b"\0") + b"PE\0\0" + coff + optional + table
    table_of_strings = struct.pack("<I", len(strings) + 4) + strings if strings else b""
    whole = headers.ljust(headers_size + gap, b"\0") + body + table_of_strings
    return whole.ljust(-(-len(whole) // 8) * 8, b"\0")


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A key and the certificate for it, in PEM files; ``issuers`` are the certificates above it."""

    name: str
    key: Path
    certificate: Path
    issuers: tuple[Path, ...] = ()

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        path = self.certificate.with_suffix(".der")
        tool("openssl", "x509", "-in", self.certificate, "-outform", "DER", "-out", path)
        return path.read_bytes()


def make_pair(directory: Path, name: str, issuer: Pair | None = None, *, days: int = 3650) -> Pair:
    """Make a key and a certificate that can certify others; one of -1 days is expired already."""
    key, request, certificate = (directory / f"{name}.{kind}" for kind in ("key", "csr", "crt"))
    extensions = directory / "ca.cnf"
    extensions.write_text("basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,digitalSignature\n")
    tool(
        "openssl",
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-subj",
        f"/CN={name}",
        "-out",
        request,
    )
    signer: list[str | Path] = (
        ["-CA", issuer.certificate, "-CAkey", issuer.key] if issuer else ["-signkey", key]
    )
    words: list[str | Path] = [
        "-in",
        request,
        "-days",
        str(days),
        "-extfile",
        extensions,
        "-out",
        certificate,
    ]
    tool("openssl", "x509", "-req", *signer, *words)
    issuers = (issuer.certificate, *issuer.issuers) if issuer else ()
    return Pair(name=name, key=key, certificate=certificate, issuers=issuers)


def sbsign(program: bytes, pair: Pair, directory: Path, *, with_issuers: bool = True) -> bytes:
    """Sign a program, as a distribution does; the certificates above the signer's go with it."""
    source, target = directory / "unsigned.efi", directory / "signed.efi"
    source.write_bytes(program)
    words: list[str | Path] = ["--key", pair.key, "--cert", pair.certificate, "--output", target]
    if with_issuers and pair.issuers:
        chain = directory / "chain.pem"
        chain.write_bytes(b"".join(path.read_bytes() for path in pair.issuers))
        words += ["--addcert", chain]
    tool("sbsign", *words, source)
    return target.read_bytes()


def sbsiglist(content: bytes, kind: str, directory: Path) -> bytes:
    """Make a signature list of one entry: ``x509`` or ``sha256``."""
    source, target = directory / "entry", directory / "list"
    source.write_bytes(content)
    tool("sbsiglist", "--owner", OWNER, "--type", kind, "--output", target, source)
    return target.read_bytes()


def signature_list(kind: uuid.UUID, entries: list[bytes], *, header: bytes = b"") -> bytes:
    """The same by hand: several entries of one size, or of a type that no tool makes."""
    owner = uuid.UUID(OWNER).bytes_le
    size = 16 + len(entries[0])
    body = header + b"".join(owner + entry for entry in entries)
    return kind.bytes_le + struct.pack("<III", 28 + len(body), len(header), size) + body


def vendor_section(allowed: bytes, forbidden: bytes = b"") -> bytes:
    """The section that a shim has."""
    return struct.pack("<IIII", len(allowed), len(forbidden), 16, 16 + len(allowed)) + allowed + forbidden


def sbat_section(**generations: int) -> bytes:
    """A section .sbat; an underscore in a name stands for a dot."""
    lines = [
        f"{name.replace('_', '.')},{value},Vendor,package,1,https://x" for name, value in generations.items()
    ]
    return "\n".join(["sbat,1,SBAT Version,sbat,1,https://x", *lines, ""]).encode()


def sbat_level(date: str, **generations: int) -> bytes:
    """An SBAT level."""
    return "".join(
        [f"sbat,1,{date}\n", *(f"{name},{value}\n" for name, value in generations.items())]
    ).encode()


def sbat_level_section(automatic: bytes, latest: bytes) -> bytes:
    """A shim's section .sbatlevel."""
    return struct.pack("<III", 0, 8, 8 + len(automatic) + 1) + automatic + b"\0" + latest + b"\0"
