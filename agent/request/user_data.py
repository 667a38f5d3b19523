"""Whether user data is of a kind that the new system acts on, told by how it begins.

Source: cloud-init's documentation, "User data formats"; for Windows images that of cloudbase-init.
"""

_TEXT_STARTS = (
    "#!",
    "#cloud-boothook",
    "#cloud-config",
    "#include",
    "#part-handler",
    "#upstart-job",
    "## template:",
    "content-type:",
    "mime-version:",
    "<powershell>",
    "<script>",
    "#ps1",
    "rem cmd",
)
_GZIP = b"\x1f\x8b"


def is_known_kind(user_data: bytes) -> bool:
    """Tell whether user data begins like something that is carried out; what is empty asks for nothing."""
    if not user_data.strip() or user_data.startswith(_GZIP):
        return True
    return user_data[:64].decode(errors="replace").lstrip().lower().startswith(_TEXT_STARTS)
