"""The Debian packages that the benchmarks need besides those of the test bed."""

IRONIC_PACKAGES = ("bsdextrautils", "parted", "psmisc", "udev")
"""Tools that ironic-python-agent calls: hexdump, parted and partprobe, fuser, udevadm."""
BENCHMARK_PACKAGES = ("bmap-tools", *IRONIC_PACKAGES)
