"""Rows to weights: a thinker learns by SFT, then by GRPO with the editor in the loop (paper section 3.3).

In: a recipe, steps as `data` writes them, and for GRPO an editor and a judge that were built elsewhere. Out:
a folder that `local:`, transformers and vLLM load unchanged, with what was measured and a model card. Needs
the extra `[train]`; of the rest of the package only the command line imports this room, late.

    recipe       what a training is: a TOML file, every key of which may be said anew on the command line
    checkpoints  a model with what feeds it, loaded, made small by LoRA, written
    lessons      steps as TRL reads them, by number: a resumed training sees what it would have seen
    rewards      what a rollout deserves: pure functions; `scoring` hands them out in the trainer's order
    rollouts     refined instructions to images to scores, many at a time, none waited for too long; `kept` on
                 disk, so that nothing is asked twice
    sft, grpo    TRL's trainers, set up; `towers` spares the vision tower images it has just seen
    session      what both share: the folder, resume, sentences for what breaks, the last word; `fingerprints`
                 tell whether a training goes on with what it was begun with
    watching     between the steps: telling, bad numbers, leaving, sealing checkpoints
    measuring    what was learned, on steps never seen
    card         the model card
    sizing       memory and steps of the real size without its weights

`darkroom/` has the lessons and the models of the embedded default. To add a reward: a function in `rewards`
and a weight in `recipe.Reward`.
"""
