"""From the command line and the YAML files to cells, methods and their budgets, checked before torch is loaded."""
