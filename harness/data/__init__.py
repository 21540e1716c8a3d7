"""The documents of tasks, and the data that they need: where it lies, fetching, checking, decoding, caching."""
