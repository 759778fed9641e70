"""How it turned out: cohorts that come back, predictions that held, data that were sound."""
