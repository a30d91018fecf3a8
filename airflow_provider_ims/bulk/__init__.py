"""Takes all requests of one GSTIN to their end, one after another."""
