"""What a backup holds, and how it comes back: databases as archives, files as they are, a manifest with digests."""
