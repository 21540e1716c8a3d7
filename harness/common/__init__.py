"""What every room of the harness uses: errors, exit codes, files, fingerprints of code, the console."""
