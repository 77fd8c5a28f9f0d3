"""See the package above."""

from torchaudio import __getattr__  # noqa: F401
