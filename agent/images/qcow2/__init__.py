"""The qcow2 format, by our own code. Source: the specification in QEMU's docs/interop/qcow2.txt."""
