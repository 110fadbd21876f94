"""Token ids on disk, mapped into memory."""
