"""Gates on tables, by Great Expectations, and their pages."""
