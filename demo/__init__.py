"""The main job on a real Airflow, on this machine: `python -m demo`."""
