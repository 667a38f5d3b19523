"""The stream-optimised VMDK format, by our own code. Source: VMware's "Virtual Disk Format 1.1"."""
