"""A real Airflow on this machine for demo, benchmarks and tests; see README.md beside this file. Not in the wheel."""
