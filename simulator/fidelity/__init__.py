"""The twin against recorded truth: a module for each row, all of them in `rows`."""
