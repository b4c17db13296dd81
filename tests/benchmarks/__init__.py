"""Benchmarks: each runs its peer in the same run and reports ratios. They are no tests and assert nothing."""
