"""Runs, tasks, cost and tables: everything around the models. The only layer that knows Hydra, lmms-eval and pandas."""

if __name__ != "winnow.harness":
    raise ImportError("say winnow.harness: under another name its modules would be imported a second time")
