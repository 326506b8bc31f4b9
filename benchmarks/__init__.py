"""What vlab costs in time and memory, measured: `python -m benchmarks`."""
