"""`winnow bench`: measured times and memory, apart from accuracy runs; the only place that prints times."""
