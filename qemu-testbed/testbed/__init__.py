"""The test bed: builds a rescue system and cloud images, and runs virtual servers with them in QEMU.

Everything here works without root on the virtual servers' side and without hardware virtualisation; building
the trees needs root on a Debian machine. Nothing in this package imports the agent: it is the judge, not a
part.
"""
