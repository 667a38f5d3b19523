"""Whether a signature was made under a certificate, as firmware finds it out.

``openssl smime`` is asked in the way in which the reference firmware (EDK II, which has OpenSSL built in)
asks: one certificate is trusted, whatever it is for and whether or not it has expired, and the chain may end
there. sbverify(1) of version 0.9.4 is not used, because it lets any signature pass that brings a certificate
whose issuer is not known: for Microsoft's, every certificate would do.

Signatures may be hostile: openssl runs as nobody where this runs as root, with limits on memory and time.
"""

import os
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from partitioning.command import Limits, as_nobody, available, require, run
from partitioning.uefi.authenticode import Signature
from partitioning.uefi.certificate import parse_certificate
from partitioning.uefi.der import SignatureMalformed

TOOL = "openssl"

_LIMITS = Limits(address_space=1 << 29, cpu_seconds=10)
_TIMEOUT = 30.0
_VERIFIED, _NOT_VERIFIED = 0, 4


def can_check() -> bool:
    """Tell whether the tool for it is installed."""
    return available(TOOL)


def signed_under(signature: Signature, certificate: bytes) -> bool:
    """Tell whether the signature's chain leads to ``certificate`` (DER). Raises CommandError.

    That the signature is over the image at hand is not part of this: compare ``digest``.
    """
    require(TOOL, "It finds out by whom a loader is signed.")
    if not _readable(certificate):
        return False
    files = (signature.pkcs7, signature.content, ssl.DER_cert_to_PEM_cert(certificate).encode("ascii"))
    with ExitStack() as stack:
        numbers = [stack.enter_context(_memory_file(content)) for content in files]
        message, content, trusted = (f"/proc/self/fd/{number}" for number in numbers)
        argv = [TOOL, "smime", "-verify", "-binary", "-inform", "DER", "-in", message, "-content", content]
        # Without the last two, every authority that this system trusts for the web would count as well.
        argv += ["-CAfile", trusted, "-no-CApath", "-no-CAstore"]
        argv += ["-partial_chain", "-no_check_time", "-purpose", "any", "-out", "/dev/null"]
        done = run(
            [*as_nobody(), *argv],
            timeout=_TIMEOUT,
            limits=_LIMITS,
            pass_fds=numbers,
            ok_codes=(_VERIFIED, _NOT_VERIFIED),
        )
    return done.code == _VERIFIED


def _readable(certificate: bytes) -> bool:
    # openssl ends with the same code for this and for what is wrong with the run as such.
    try:
        parse_certificate(certificate)
    except SignatureMalformed:
        return False
    return True


@contextmanager
def _memory_file(content: bytes) -> Iterator[int]:
    number = os.memfd_create("byoi-agent")
    try:
        with open(number, "wb", closefd=False) as file:
            file.write(content)
        yield number
    finally:
        os.close(number)
