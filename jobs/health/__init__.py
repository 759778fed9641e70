"""What `python -m jobs doctor` looks at: one small function a check, which breaks nothing and changes nothing."""
