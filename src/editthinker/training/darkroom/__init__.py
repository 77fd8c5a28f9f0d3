"""The darkroom's weights from scratch, on a CPU: `python -m editthinker.training.darkroom all`.

In: generated language, freely licensed photographs, procedural scenes. Out: ONNX files, tokenizers and
`MANIFEST.toml` in `darkroom/weights/`. Every step writes checkpoints and resumes from them.

    editor                 the language models that write programs
    answers                what the editor makes of many wishes
    sources                small pictures
    sightings              edits of them without a wish, by number
    trajectories           steps of an expert on them, by number
    nets                   thinkers made from nothing, and their tokenizer
    lessons, thinker       rows of words, of views and of both; SFT on them with the room's trainer
    reading, looking       how well a thinker reads, on words it may and may not have met; how well it looks
    prompts                rows and the exact judge for GRPO
    export, packing        ONNX, and into the package
    shipped                out of the package, to be trained on
"""
