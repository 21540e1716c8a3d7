"""Statistics that only the card needs; figures, differences and intervals are those of `winnow.harness.score.stats`."""
