"""A sweep from Python, in a folder of its own, and its figures as a DataFrame: what is finished is not run again."""

import sys
from pathlib import Path

import winnow
from winnow.harness.cli.run import main

results = Path(sys.argv[1] if len(sys.argv) > 1 else "results/runs-example")
code = main(["-m", "reducer=none,random,fastv", "ratio=0.25", "schedule=pico", "limit=24", f"results={results}"])
if code:
    sys.exit(code)
runs = winnow.load_runs(results)
print(runs[["reducer", "mean", "value", "low", "high", "delta", "delta_p"]].round(3).to_string(index=False))
