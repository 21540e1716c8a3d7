"""Results between people: two runs or two stores compared, all results in one file and back."""
