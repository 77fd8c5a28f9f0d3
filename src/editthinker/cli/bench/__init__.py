"""`editthinker bench`: benchmarks from the command line.

In: what was typed. Out: a run folder with edits and judge replies, and tables. `suites` holds the words of
the public benchmarks and `work` what they set in motion, `keeping` what is measured on the pixels; `results`
makes tables of what was judged before, `tables` and `comparing` print them; `darkroom` is the verb of our
own bench. What a benchmark is, is not known here.
"""
