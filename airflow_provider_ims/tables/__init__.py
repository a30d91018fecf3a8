"""Tables of any size in DuckDB: opened with limits, read from files and written to them."""
