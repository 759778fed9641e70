"""A simulated shop: customers whose latent truth is known, and the events they leave behind."""
