"""Work on a method itself: the invariants on anybody's class, and knobs found from a model's behaviour."""
