"""Pictures of single samples: which visual tokens a method kept, and what the text looks at."""
