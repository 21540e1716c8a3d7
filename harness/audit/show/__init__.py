"""The card for a terminal, as Markdown, as LaTeX, and as one HTML page with plots."""
