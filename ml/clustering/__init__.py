"""Behaviour clusters: who is alike in what they do, found again and again under the same ids."""
