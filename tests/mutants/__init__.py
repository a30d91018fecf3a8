"""Breaks the package in one small place at a time, and sees whether a test notices."""
