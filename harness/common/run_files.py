"""The names of a run's files; `DONE` is written last and holds their digests."""

DONE, FAILED, RESULT, CONFIG, ENV, JOURNAL = "DONE", "FAILED", "result.json", "config.yaml", "env.json", "journal"
SCORES, TRACES = "scores.parquet", "traces.parquet"
