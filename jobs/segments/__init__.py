"""Tiers, stages and bands: what decides them, and how a snapshot follows from the one before."""
