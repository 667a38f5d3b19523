"""What makes a disk boot under UEFI where the image itself does not bring it along."""
