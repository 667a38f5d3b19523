"""What UEFI firmware has and wants: boot entries, loaders, Secure Boot."""
