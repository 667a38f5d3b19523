"""What udev knows of block devices, beyond what sysfs says."""

from collections.abc import Mapping

from partitioning.sysfs import REAL, Roots

UdevProperties = Mapping[str, Mapping[str, str]]
"""Properties by the kernel's name of the device."""


def udev_properties() -> UdevProperties:
    """Read the udev database: sysname → properties, for whole block devices.

    Without a udev daemon the entries hold little more than the kernel's own names.
    """
    # Here, because it takes a noticeable part of the start-up time.
    import pyudev

    devices = pyudev.Context().list_devices(subsystem="block", DEVTYPE="disk")
    return {device.sys_name: dict(device.properties) for device in devices}


def properties_for(roots: Roots) -> UdevProperties:
    """Read the udev database of the machine ``roots`` is; there is none of a recorded one."""
    return udev_properties() if roots == REAL else {}
