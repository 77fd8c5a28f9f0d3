"""What can be named without anybody's doing: the table of built-in models. Nothing of them is loaded here.

To add one: a row. What has settings is a class `C` with a `C.Settings`, made as `C(what_it_names, settings,
name=...)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from editthinker.core import names

if TYPE_CHECKING:
    from editthinker.core.types import Role


@dataclass(frozen=True, slots=True)
class Model:
    """A name that can be given as editor, thinker or judge."""

    role: Role
    name: str
    what: str
    """One phrase for a person."""
    target: str
    """`pkg.module:factory`; empty for "none", which stands for the absence of a thinker."""
    requires: tuple[str, ...] = ()
    """Top-level modules it imports beyond the core install."""
    extra: str = ""
    """The extra of this package that installs `requires`."""
    form: str = ""
    """Of a scheme: what is written behind the colon, such as "MODEL"; "" for a plain name."""
    presets: Mapping[str, Any] = field(default_factory=dict)
    """Settings that this name stands for; what the user gives wins."""
    attended: bool = False
    """Whether a person at this terminal answers."""
    may_run_here: bool = False
    """Whether what could be called over a network runs in this process when it has no `base_url`."""

    @property
    def shown(self) -> str:
        """How it is written: "darkroom", "openai:MODEL"."""
        return f"{self.name}:{self.form}" if self.form else self.name

    @property
    def is_vote(self) -> bool:
        """Whether other names stand behind its colon."""
        return f"{self.name}:" == names.VOTE

    @property
    def needs(self) -> str:
        """What must be there before it works, for a person."""
        return f"pip install 'editthinker[{self.extra}]'" if self.extra else "nothing more"

    @property
    def available(self) -> bool:
        """Whether its modules are installed; nothing of it is loaded."""
        modules = (*self.requires, self.target.partition(":")[0]) if self.target else self.requires
        return all(installed(module) for module in modules)


_LOCAL = ("torch", "transformers")
_CHAT = "editthinker.thinkers.chat:ChatThinker"

BUILTIN: tuple[Model, ...] = (
    Model(
        "editor",
        "darkroom",
        "small language-to-program editor for photographs; CPU, offline",
        "editthinker.darkroom.editor:DarkroomEditor.load",
    ),
    Model(
        "editor",
        "darkroom:small",
        "the same, smaller and trained less: fails more often, to measure with",
        "editthinker.darkroom.editor:DarkroomEditor.small",
    ),
    Model(
        "editor",
        "darkroom:large",
        "the same, larger and widely read: understands more wordings, to measure with",
        "editthinker.darkroom.editor:DarkroomEditor.large",
    ),
    Model(
        "editor",
        "openai",
        "OpenAI's image models, or any server with /v1/images/edits (base_url=...)",
        "editthinker.editors.openai:OpenAIEditor",
        form="MODEL",
    ),
    Model(
        "editor",
        "gemini",
        "Google's image models",
        "editthinker.editors.gemini:GeminiEditor",
        ("google.genai",),
        "gemini",
        form="MODEL",
    ),
    Model(
        "editor",
        "service",
        "the paper's editing service (/edit, /health)",
        "editthinker.editors.service:ServiceEditor",
        form="URL",
    ),
    Model(
        "editor",
        "diffusers",
        "FLUX Kontext, Qwen-Image-Edit and others in this process, on a GPU or a patient CPU",
        "editthinker.editors.diffusers:DiffusersEditor",
        (*_LOCAL, "diffusers"),
        "local",
        form="REPO_OR_PATH",
    ),
    Model(
        "editor",
        "comfyui",
        "your own ComfyUI workflow, inputs marked by node titles",
        "editthinker.editors.comfyui:ComfyUIEditor",
        ("websockets",),
        "comfyui",
        form="URL#workflow.json",
    ),
    Model(
        "editor",
        "hf",
        "Hugging Face Inference Providers",
        "editthinker.editors.huggingface:HuggingFaceEditor",
        form="MODEL",
    ),
    Model(
        "thinker",
        "darkroom",
        "small vision-language model that critiques photographs; CPU, offline",
        "editthinker.darkroom.thinker:DarkroomThinker.load",
    ),
    Model(
        "thinker",
        "onnx",
        "a darkroom thinker that you trained (docs/training.md); CPU, offline",
        "editthinker.darkroom.trained:TrainedThinker",
        form="FOLDER",
    ),
    Model(
        "thinker",
        "darkroom-expert",
        "knows the target of darkroom cases; an upper bound for the bench",
        "editthinker.darkroom.thinker:ExpertThinker",
    ),
    Model("thinker", "chat", "any OpenAI-compatible multimodal endpoint", _CHAT, form="MODEL"),
    Model("thinker", "openai", "the same as chat", _CHAT, form="MODEL"),
    Model(
        "thinker",
        "vllm",
        "the same at http://127.0.0.1:8000/v1, as vLLM serves it",
        _CHAT,
        form="MODEL",
        presets={"base_url": "http://127.0.0.1:8000/v1"},
    ),
    Model(
        "thinker",
        "expert",
        "a strong chat model as in the paper: verdict and refined instruction; scores come from --judge",
        "editthinker.thinkers.expert:ExpertThinker",
        form="MODEL",
    ),
    Model(
        "thinker",
        "local",
        "a vision-language model in this process (EditThinker-8B, Qwen3-VL, ...)",
        "editthinker.thinkers.local:LocalThinker",
        _LOCAL,
        "local",
        form="PATH_OR_REPO",
    ),
    Model(
        "thinker", "human", "you, at the terminal", "editthinker.thinkers.human:HumanThinker", attended=True
    ),
    Model(
        "thinker",
        "ensemble",
        "several thinkers vote",
        "editthinker.thinkers.ensemble:EnsembleThinker",
        form="NAME|NAME|...",
    ),
    Model("thinker", "none", "nobody looks at the result: one edit, delivered as it comes", ""),
    Model(
        "judge",
        "darkroom",
        "exact image-level judge; scores darkroom cases, whose target is known",
        "editthinker.darkroom.judge:DarkroomJudge",
    ),
    Model(
        "judge",
        "chat",
        "a chat model that answers a benchmark's questions (bench --judge)",
        "editthinker.judges.asking:ChatJudge",
        form="MODEL",
    ),
    Model(
        "judge",
        "rubric",
        "a chat model scores every image by our rubric",
        "editthinker.judges.rubric:RubricJudge",
        form="MODEL",
    ),
    Model(
        "judge",
        "pairwise",
        "a chat model compares two images, both ways round (--compare)",
        "editthinker.judges.pairwise:PairwiseJudge",
        form="MODEL",
    ),
    Model(
        "judge",
        "checklist",
        "a chat model writes yes/no questions once and asks them of every image",
        "editthinker.judges.checklist:ChecklistJudge",
        form="MODEL",
    ),
    Model(
        "judge",
        "editscore",
        "the reward model EditScore, on a GPU here or behind an endpoint (base_url=...)",
        "editthinker.judges.editscore:EditScoreJudge",
        ("editscore",),
        "judges",
        form="MODEL",
        may_run_here=True,
    ),
    Model(
        "judge",
        "ensemble",
        "the mean of several judges",
        "editthinker.judges.ensemble:EnsembleJudge",
        form="NAME|NAME|...",
    ),
)


def installed(module: str) -> bool:
    """Whether a module could be imported; it is not."""
    try:
        return find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):  # a parent package is missing, or it is no module's name
        return False
