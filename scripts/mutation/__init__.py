"""Small faults in the code, one at a time, each tried with the tests that cover it."""
