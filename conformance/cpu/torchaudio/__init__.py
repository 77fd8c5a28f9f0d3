"""Stands for torchaudio, whose wheel does not load; vLLM-Omni imports it for its audio endpoints only."""

__version__ = "2.11.0"


class _Anything:
    def __getattr__(self, name):
        return _Anything()

    def __call__(self, *args, **kwargs):
        raise RuntimeError("there is no torchaudio here")


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return _Anything()
