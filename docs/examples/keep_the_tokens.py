"""A picture of the tokens that a method keeps of one sample of a finished run."""

import sys
from pathlib import Path

import winnow
from winnow.harness.cli.run import main
from winnow.harness.results.plots.sample import load
from winnow.harness.results.plots.tokens import draw

results = Path(sys.argv[1] if len(sys.argv) > 1 else "results/runs-example")
main(["reducer=fastv", "ratio=0.25", "schedule=pico", "limit=2", f"results={results}"])
runs = winnow.load_runs(results)
run = runs[runs.reducer == "fastv"].run.iloc[0]
draw(load(results / run, "pico_video/1"), results / "tokens.png")
print(f"{results / 'tokens.png'}: the tokens that FastV keeps of pico_video/1")
