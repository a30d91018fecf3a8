"""Sends a reset at most once, whatever dies on the way, and leaves a record of it."""
