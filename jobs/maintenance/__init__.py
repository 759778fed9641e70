"""What may go and when, a part of the home a file; `python -m jobs maintain` shows it or removes it."""
