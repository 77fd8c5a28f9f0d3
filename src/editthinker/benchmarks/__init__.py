"""Benchmarks: samples, how they are judged, and how the figures are put together.

In: a data folder or samples, edited images, the replies of a judge. Out: cases, judge calls as data, tables
with intervals. They build no model from a name and never print; only `evaluation` asks anybody, a judge that
it is handed. What is asked, read and counted is defined by each benchmark's authors; their judge prompts come
from the user's checkout.

    suite       the one interface: Benchmark, Case, JudgeCall, Reply, Scores
    table       Table, Line, Scored: figures under `strict`, `official` or `paper` rules
    showing     how an image is put before the judge
    prompts     judge prompts out of a checkout, checked by sha256
    layout      results folders: written for official scorers, found in those of others
    reading     their files: text, JSON, image names
    known       the benchmarks by name
    evaluation  images put before a judge: bounded, durable, never twice
    judged      what judges said: one file in a run folder
    scoring     tables out of it, under any rules
    course      one sample turn by turn: what fewer turns would have delivered, at what price
    kept        what edits left as it was, measured on the pixels
    measured    what tables are made of: a judged run, or a report of the darkroom bench
    compare     two tables, sample by sample; curves over turns
    against     two runs: whether they compare, every number of turns, equal editor calls
    comparison  the page that shows it
    intervals   bootstrap
    abreast     many questions at the same time
    imgedit, uge, gedit, rise, kris, uniredit
    darkroom    our own, with an exact judge and a loop that it runs itself; its tables: darkroom_table

To add one: a file with a frozen dataclass that satisfies `suite.Benchmark`; its options are its fields.
Then a row in `known` and a verb in `cli.bench.suites`.
"""
