"""Measurements, each beside the least that the same machine needs for the same data."""
