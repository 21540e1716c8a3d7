"""One self-contained HTML page of finished runs: tables, plots, run details, samples."""
