"""Apache Airflow provider for GST's Invoice Management System over Vayana's Enriched API."""

__version__ = "0.1.0"
