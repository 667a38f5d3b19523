"""A sample image as a machine that was exported: an OVA with one disk, and sums of what is in it."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

from .command import run
from .image_file import ImageFile, note_sum, noted_sum

_DISK = "machine-disk1.vmdk"
_OVF = f"""<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References><File ovf:href="{_DISK}" ovf:id="file1"/></References>
  <DiskSection>
    <Info>The disks of the machine</Info>
    <Disk ovf:capacity="SIZE" ovf:diskId="vmdisk1" ovf:fileRef="file1"
      ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
</Envelope>
"""


def ova_of(image: ImageFile, directory: Path) -> ImageFile:
    """Make an OVA of a qcow2 image, in `directory`."""
    disk = directory / _DISK
    form = ("-O", "vmdk", "-o", "subformat=streamOptimized")
    run("qemu-img", "convert", "-f", "qcow2", *form, str(image.path), str(disk))
    ovf = _OVF.replace("SIZE", str(image.virtual_size)).encode()
    with disk.open("rb") as content:
        sums = {"machine.ovf": hashlib.sha256(ovf), _DISK: hashlib.file_digest(content, "sha256")}
    manifest = "".join(f"SHA256({name})= {digest.hexdigest()}\n" for name, digest in sums.items()).encode()
    path = directory / f"{image.path.stem}.ova"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in (("machine.ovf", ovf), ("machine.mf", manifest)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        archive.add(disk, arcname=_DISK)
    disk.unlink()
    note_sum(path)
    return ImageFile(path=path, type="ova", sha256=noted_sum(path), virtual_size=image.virtual_size)
