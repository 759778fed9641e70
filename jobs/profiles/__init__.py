"""Customers and segments in words: tags with their evidence, and portraits of segments."""
