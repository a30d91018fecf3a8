"""
Transcripts of ``airflow-ims doctor``, read again by the package's own readers.

Put a new one beside the others and write what is to be expected of it: ``python -m tests.recorded FILE.jsonl``; look at
it, and commit both.
"""
