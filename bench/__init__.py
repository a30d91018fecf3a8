"""Benchmarks: what the provider costs, measured beside its peers on the same machine."""
