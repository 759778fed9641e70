"""The contracts: every table's columns, types, units, meaning, keys and checks, declared once."""
