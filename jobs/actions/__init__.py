"""The next best action: a table of strategies that marketing edits, and who is held out to measure them."""
