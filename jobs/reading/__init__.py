"""A shop's files and what a source mapping makes of them."""
