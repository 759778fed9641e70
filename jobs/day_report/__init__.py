"""A picture of the day: one self-contained page of what the marts say."""
