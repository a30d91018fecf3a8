"""The HTTP contract of Vayana's Enriched API: builds requests, reads replies; no socket, no Airflow."""
