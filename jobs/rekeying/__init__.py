"""Changing the customer key: what is made with it, made anew beside the old, and the switch between them."""
