"""The command ``airflow-ims``: checks, plans and reconciles local files, and runs the simulator. Needs no Airflow."""
