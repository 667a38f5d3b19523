"""Raw images that are published packed: gzip, xz, zstd and bzip2, unpacked while they come."""
