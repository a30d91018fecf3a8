"""Triggers: the half of a wait that runs in the triggerer."""
