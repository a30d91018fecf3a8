"""Sensors: the tasks that wait."""
