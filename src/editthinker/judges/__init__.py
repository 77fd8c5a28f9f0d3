"""Independent scores: judges look at source and edited image and were not there when it was thought about.

In: a sample and an edited image, or two. Out: a `Judged` score or a `Preference` with what it cost; or a
`JudgeError`, never a guessed number. They know no editor, no thinker and no loop.

    rubric      a chat model scores semantic and quality, 0-10
    checklist   a chat model writes yes/no questions once and answers them for every candidate
    pairwise    a chat model compares two images, asked both ways round so that its bias for a place cancels
    editscore   the reward model EditScore, here or behind an endpoint
    ensemble    several of these, their mean or median

Those that speak stand on `asking.ChatJudge` (asks again, averages samples, keeps answers in `cache`); its
`answer` serves whoever brings prompts of their own, such as a benchmark.

To add one: a class with `Settings`, made as `C(what_it_names, settings, name=...)`, a row in
`resolve.builtin.BUILTIN`.
"""
