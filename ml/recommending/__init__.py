"""Which products to show whom: several sources of candidates, blended by what validation shows."""
