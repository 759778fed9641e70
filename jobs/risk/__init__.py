"""Whose behaviour looks fraudulent, abusive or automated: rules over events, and what is unlike all others."""
