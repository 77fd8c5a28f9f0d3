"""Runs: what was done, kept so that nothing that finished is ever lost or done again.

In: samples, the events of an episode, trajectories. Out: records, image files, one HTML page. It is handed
objects and builds none: it knows no editor, no thinker and no strategy.

A run is a folder:

    run.json            the resolved configuration, enough to repeat it; written last
    ledger.sqlite       samples, turns, calls with their answers, ends; durable before the next call starts
    images/ab/ab….png   by content: the editor's own bytes as they came, else PNG, encoded once
    run.lock            held by the one process that writes; names it
    heartbeat.json      how far a run is; summary.json, once it is over, how every failure came about

`folder` ties the store together: `ledger` (rows), `commits` (the thread that writes them), `blobs` (images),
`answers` (what need not be asked again), `lock` (who writes), `recorder` (an episode's listener).

Many samples are the business of `runner`: `samples` and `tables` read entries, `opening` makes samples of
them, `orders` says who works and how, `usher` and `doors` let calls in, `tally` counts, `delivering` hands
images out, `resuming` opens what was begun. `cluster` has models of a run held by workers on a Ray cluster.

`report` reads a run and writes the page, made of `page`, `chapter`, `turns`, `pieces`, `previews`, `markup`.

To keep something new, add a migration to `ledger.MIGRATIONS` and read it back in `Ledger.trajectories`.
"""

from __future__ import annotations

from editthinker.runs.folder import RunFolder, RunRecord
from editthinker.runs.recorder import Recorder

__all__ = ["Recorder", "RunFolder", "RunRecord"]
