"""A stand-in for Vayana's Enriched API, its login server theodore and GSTN, for the demo and for tests.

It has its own view of the HTTP contract and imports nothing of the provider, so that it catches the
provider's mistakes.
"""
