"""From rows to requests: read, check, sort out, pack. Knows nothing of Airflow."""
