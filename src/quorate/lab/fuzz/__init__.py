"""The differential fuzzer: random schemas and statements on plain SQLite, in an embedded folder and on three replicas.

`lab.sql` draws; `run` performs a seed and compares; `shrink` makes what failed small; `campaign` runs many seeds.
"""
