"""Any OpenAI-compatible multimodal endpoint as a thinker: EditThinker-8B or Qwen3-VL on vLLM or SGLang, GPT,
Gemini's compatible endpoint, Ollama, llama.cpp.

In: a `View`, or a `Sample` to plan. Out: a `Thought`, or a `Plan`, with tokens and cost. What is asked and
how a reply is read is the prompt's business, bytes and prices are `wire.chat`'s. A reply that cannot be used
leaves as a `ReplyError` that knows what it cost; asking again is the caller's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, TypeVar

from pydantic import Field

from editthinker.core.contracts import EditorInfo, View
from editthinker.core.errors import InputError, ReplyError
from editthinker.core.types import Plan, Sample, Thought
from editthinker.thinkers import prompts
from editthinker.thinkers.prompts import Prompt
from editthinker.wire.chat import Chat, ChatReply, ChatSettings, Guide

T = TypeVar("T")


class ChatThinkerSettings(ChatSettings):
    """What can be set on a chat thinker."""

    style: Literal["grammar", "history", "checklist", "json", "expert"] = Field(
        "grammar", description="how it is asked; grammar is what EditThinker was trained on"
    )
    prompt: str = Field(
        "", description="file with the text to ask with, such as EditThinker's prompt_template.txt"
    )


class ChatThinker:
    """The thinker behind `chat:MODEL`, `openai:MODEL` and `vllm:MODEL`."""

    Settings = ChatThinkerSettings

    def __init__(self, model: str, settings: ChatThinkerSettings, *, name: str = "chat") -> None:
        """No connection is made yet. Raises `InputError` for a key or prompt file that cannot be used."""
        prompt = prompts.load(settings.style, settings.prompt)
        if settings.guided == "json" and prompt.schema is None:
            raise InputError(
                f"thinker {name!r}: style {settings.style!r} answers in tags, not in JSON;"
                " set guided=regex, or style=json"
            )
        self.name = name
        self.asking = Asking(Chat(model, settings, "thinker", name), prompt)

    @property
    def price(self) -> float | None:
        """US dollars one critique is expected to cost; None when the model's price is unknown."""
        return self.asking.chat.price

    async def think(self, view: View) -> Thought:
        """One critique, or before any edit a rewording. Raises `ReplyError`, or `ThinkerError`."""
        return await self.asking.think(view)

    async def plan(self, sample: Sample, editor: EditorInfo) -> Plan:
        """The instruction as atomic steps. Raises as `think` does."""
        return await self.asking.plan(sample, editor)


class Asking:
    """A chat model asked with a prompt, its replies read; what the chat thinkers have in common."""

    def __init__(self, chat: Chat, prompt: Prompt) -> None:
        self.chat = chat
        self._prompt = prompt

    async def think(self, view: View) -> Thought:
        """As `Thinker.think`."""
        reply = await self._ask(self._prompt, view)
        critique = self._read(reply, lambda text: self._prompt.read(text, view))
        if not critique.reasoning:  # servers that split a reply put it into a field of its own
            critique = replace(critique, reasoning=reply.reasoning)
        return Thought(critique, reply.cost, reply.notes)

    async def plan(self, sample: Sample, editor: EditorInfo) -> Plan:
        """As `Planner.plan`."""
        prompt = prompts.load("plan")
        reply = await self._ask(prompt, View(sample, sample.instruction, None, editor=editor))
        plan = self._read(reply, prompt.read_plan)
        reasoning = plan.reasoning or reply.reasoning
        return replace(plan, reasoning=reasoning, cost=reply.cost, notes=reply.notes)

    async def _ask(self, prompt: Prompt, view: View) -> ChatReply:
        asked = prompt.of(view)
        return await self.chat.ask(prompt.parts(view), Guide(asked.schema, asked.regex))

    def _read(self, reply: ChatReply, read: Callable[[str], T]) -> T:
        """What the reply says. Raises `ReplyError`, which keeps what the reply cost."""
        try:
            if reply.finish == "length":
                raise ReplyError(
                    f"the reply was cut off at {self.chat.settings.max_tokens} tokens;"
                    " answer more briefly (or set a larger max_tokens)"
                )
            if not reply.text.strip():
                raise ReplyError("the reply was empty; write the reply in the form asked for")
            return read(reply.text)
        except ReplyError as error:
            error.cost = reply.cost
            raise
