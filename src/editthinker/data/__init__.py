"""Data: from trajectories to the rows a thinker is trained on (paper section 4), stage by stage.

In: samples, run folders, files of rows, the files ThinkEdit was published as. Out: a folder per stage: rows
as JSON lines and `manifest.json`, which says what came in (sha256), what was asked, and what became of every
row. A stage is there whole or not at all, the same input gives the same bytes, and nothing is held in memory
but a few numbers a row. It makes no image and knows no prompt: trajectories are made by `runs.runner`, which
is handed its models, and the text a thinker is asked with is an argument. The one model it asks is a judge.

    records       TrajectoryRow, StepRow: one line each; images by path
    rows          files of rows and run folders: read and written a line at a time
    stage         a folder that appears whole, its manifest, the counts by reason
    pool          samples, which editor gets which, and what the darkroom draws
    generating    the folder of a pool's trajectories: a run for each editor, a manifest of all
    scoring       a judge scores what has no score: into ledgers, or into rows
    filtering     trajectories in which thinking did not hurt, cut at the best turn
    unrolling     a trajectory as steps: (I_src, I_edit, T_s, T_t-1) -> (R, S, T_t)
    balancing     as many steps of every task type and score level as there may be
    splitting     varied trajectories for RL, steady ones for SFT; one photo is on one side
    likeness      perceptual hashes of images, and which of them are one picture
    album         the prints of image files, remembered
    licences      what may stand beside what
    checking      copies within the rows, images of benchmarks among them, licences
    exporting     the shapes LLaMA-Factory, EasyR1, TRL and Parquet readers expect
    importing     ThinkEdit's published files, and result folders of the official script
    figures       how tasks and scores are distributed, as numbers and as a picture

To add a stage: a generator from rows to rows that tells its `Counts` what it drops and why, and a verb in
`cli/data.py`. To add a format: a writer in `exporting.FORMATS`.
"""

from __future__ import annotations

from editthinker.data.records import StepRow, TrajectoryRow

__all__ = ["StepRow", "TrajectoryRow"]
