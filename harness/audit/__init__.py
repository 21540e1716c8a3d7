"""The report card of a method: what its critics would ask, answered from runs, each in one file of `sections`."""
