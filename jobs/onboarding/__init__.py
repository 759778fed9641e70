"""A new shop's files: read as streams, split into days, and tried on their mapping before anything is written."""
