"""What the provider adds to Airflow's pages."""
