"""
Read by Airflow at the start of each of its programs, from AIRFLOW_HOME/config.

A Celery worker imports here what tasks need, before it forks its processes: else every start of a task imports it anew,
which takes more CPU than the task.
"""

import sys

if "worker" in sys.argv:
    import airflow.providers.amazon.aws.fs.s3
    import airflow.sdk.api.client
    import airflow.sdk.execution_time.supervisor
    import airflow.sdk.execution_time.task_runner  # noqa: F401
    import s3fs  # noqa: F401

    import airflow_provider_ims.operators.bulk
    import airflow_provider_ims.operators.plan
    import airflow_provider_ims.operators.summary  # noqa: F401
