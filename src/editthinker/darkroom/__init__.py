"""The embedded default: a small, genuine instance of the whole idea, for photographs, offline, on a CPU.

In: a photo and an English instruction. Out: an edited photo and a critique. It has its own world:

    program      what can be done: 25 kinds of operations with values, regions, strengths
    operations   how it is done, at full resolution, by Pillow, OpenCV and numpy
    language     how people ask for it, and what looks ("like an old photograph") mean
    editor       a learned model from instruction to program: seeded, and fallible for real reasons
    thinker      a small Qwen3-VL that looks at source and result and writes a critique
    trained      the same with weights of your own
    expert       what a thinker would write that knew the target
    judge        how well an image, by whatever editor, shows a known target program
    cases        samples with a known target, for the bench and for training
    targets      where a sample carries its target: in memory, and in a file

It does not know other editors or thinkers, runs, or training; `training/darkroom` makes its weights.
To add an operation: `program.KINDS`, an effect in `operations`, `language/wordings.toml`, and train anew.
"""
