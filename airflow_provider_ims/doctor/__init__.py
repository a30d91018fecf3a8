"""Tries a real account, step by step, and says which inferred facts hold. Changes nothing unless it is told to."""
