"""The files of a config drive, as OpenStack lays them out and cloud-init reads them.

Sources: OpenStack Nova, "Metadata" and "Config drives" in the user and admin guides (openstack/<version>/
meta_data.json, user_data, network_data.json, vendor_data.json); cloud-init, sources/DataSourceConfigDrive.py
and sources/helpers/openstack.py (``uuid`` is the one field it insists on).
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from configdrive.errors import ConfigDriveError

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"

# cloud-init takes the newest dated version it knows (OS_VERSIONS in its OpenStack helper) before "latest";
# cloudbase-init, Ignition and Afterburn read "latest" only. This is OpenStack Rocky's, cloud-init's newest.
DATED_VERSION = "2018-08-27"
VERSIONS = ("latest", DATED_VERSION)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigDriveData:
    """What the new system is told. Only the identifier and the host name show in its ``repr``."""

    instance_uuid: uuid.UUID
    """A new one for every deployment: cloud-init runs its first-boot modules once for each."""
    hostname: str | None = None
    """None leaves the image's own host name."""
    ssh_keys: tuple[str, ...] = field(default=(), repr=False)
    """OpenSSH public keys, one an element."""
    user_data: bytes | None = field(default=None, repr=False)
    """Stored byte for byte; None makes no such file, empty bytes make an empty one."""
    meta: Mapping[str, str] = field(default_factory=dict, repr=False)
    network_data: JsonValue = field(default=None, repr=False)
    vendor_data: JsonValue = field(default=None, repr=False)


def files(data: ConfigDriveData) -> Mapping[str, bytes]:
    """Give the drive's files by path; the same data always gives the same bytes.

    Raises ConfigDriveError when a value cannot be written as JSON.
    """
    documents = {"meta_data.json": _json("meta_data.json", _meta_data(data))}
    if data.user_data is not None:
        documents["user_data"] = data.user_data
    if data.network_data is not None:
        documents["network_data.json"] = _json("network_data.json", data.network_data)
    if data.vendor_data is not None:
        documents["vendor_data.json"] = _json("vendor_data.json", data.vendor_data)
    return {
        f"openstack/{version}/{name}": documents[name] for version in VERSIONS for name in sorted(documents)
    }


def _meta_data(data: ConfigDriveData) -> JsonValue:
    instance = str(data.instance_uuid)
    document: dict[str, JsonValue] = {
        "uuid": instance,
        "name": data.hostname or instance,
        "launch_index": 0,
        "meta": data.meta,
        "public_keys": _named(data.ssh_keys),
    }
    if data.hostname is not None:
        document["hostname"] = data.hostname
    return document


def _named(keys: tuple[str, ...]) -> dict[str, str]:
    # Nova's form is a mapping of name to key. Names of one width keep the order under sorting.
    width = len(str(len(keys)))
    return {f"key-{number:0{width}}": key for number, key in enumerate(keys, start=1)}


def _json(name: str, value: JsonValue) -> bytes:
    # ASCII with escapes: it is read the same whatever encoding the reader assumes.
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False, default=dict).encode("ascii")
    except (TypeError, ValueError, RecursionError):
        # The cause may quote a value, and a value may be a secret.
        raise ConfigDriveError(
            f"The ConfigDrive's {name} cannot be made.",
            detail="A value in it has no form in JSON (not a number, bytes, or a structure within itself).",
            hint="Correct the meta data, the network data or the vendor data of the request.",
        ) from None
