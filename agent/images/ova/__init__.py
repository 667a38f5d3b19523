"""OVA archives: a tar that holds a description (OVF), sums (a manifest), and a disk. Source: DMTF DSP0243."""
