"""Hooks: the connection, the session, retries and timeouts."""
