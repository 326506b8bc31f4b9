"""Tests of the benchmarks: that each still runs, not how fast."""
