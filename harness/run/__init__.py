"""The life of a run: identity, claim, answers, journal, store, finish."""
