"""The darkroom's weights from scratch, on a CPU: `python -m editthinker.training.darkroom all`.

In: generated language, freely licensed photographs, procedural scenes. Out: ONNX files, tokenizers and
`MANIFEST.toml` in `darkroom/weights/`. Every step writes checkpoints and resumes from them.
"""
