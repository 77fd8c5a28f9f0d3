"""Benchmarks: samples, how they are judged, and how the figures are put together.

In: objects (an editor, a thinker), samples, a seed. Out: rows and a table with intervals. It never builds
models from names and never prints. To add one: a file with its own samples, judging and aggregation.
"""
