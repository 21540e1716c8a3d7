"""Which frames a video shows, and the libraries that fetch them, each held to the same plan."""
