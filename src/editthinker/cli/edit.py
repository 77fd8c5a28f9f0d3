"""`editthinker edit`: the words of the command line. What they set in motion is in `session`."""

from __future__ import annotations

from typing import Any

from editthinker.cli.options import Order, taking


@taking(Order)
def edit(**said: Any) -> int:
    """Edit one photo: edit, critique, refine, repeat; deliver the best turn.

    \b
    Examples:
      editthinker edit photo.jpg "make it look like an old photograph"
      editthinker edit photo.jpg "warmer" -o warm.jpg --turns 5 --max-seconds 20
      cat photo.jpg | editthinker edit - "black and white" -o - > grey.png
      editthinker edit photo.jpg "sepia" --json --quiet | jq .trajectory.chosen

    \b
    With an OpenAI key, a vLLM server, a GPU, ComfyUI (--dry-run says what it would take):
      editthinker edit photo.jpg "add a hat" --editor openai:gpt-image-2 --thinker openai:gpt-5.5
      editthinker edit photo.jpg "add a hat" --thinker "vllm:EditThinker-8B?base_url=http://gpu:8000/v1"
      editthinker edit photo.jpg "add a hat" --editor diffusers:black-forest-labs/FLUX.1-Kontext-dev
      editthinker edit photo.jpg "add a hat" --editor "comfyui:http://127.0.0.1:8188#workflow.json"

    Every turn, its scores and the thinker's words are kept in the run folder; report.html there shows them.
    With --json one document goes to stdout once the work is done; when the input cannot be used (exit code 2)
    there is no document, only the sentence on stderr.

    Most options can also be set by a variable (--max-cost by EDITTHINKER_MAX_COST) or in a configuration file
    (editthinker.toml); 'editthinker config show' says what holds and why. Keys are never options: they are
    read from OPENAI_API_KEY and its like, or from where a setting says (key=env:NAME, key=file:PATH).
    """  # noqa: D301 click looks for \b
    from editthinker.cli.session import deliver

    return deliver(Order(**said))
