"""Operators: the tasks of a DAG."""
