"""What models are said to cost: every row has a source, the user's price wins, nobody invents one."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from importlib.resources import files

import pytest

from editthinker.wire import prices
from editthinker.wire.prices import Rate

TEXT = (files("editthinker.wire") / "prices.toml").read_text("utf-8")
TABLE = tomllib.loads(TEXT)


def test_every_row_says_where_it_is_from() -> None:
    source, rows = "", 0
    for line in TEXT.partition("[tokens]")[2].splitlines():
        if line.startswith("#"):
            source = line
        elif line.startswith('"'):
            assert re.search(r"https://\S+", source), line
            rows += 1
        elif line.startswith("["):
            source = ""
    assert rows == len(TABLE["tokens"]) + len(TABLE["images"])


def test_the_header_says_that_bills_decide_and_when_it_was_checked() -> None:
    assert "bill decides" in TEXT
    assert date.fromisoformat(prices.dated()) >= date(2026, 11, 21)


def test_rows_are_sane() -> None:
    for name, row in TABLE["tokens"].items():
        assert name == name.lower()
        assert set(row) <= {"in", "out", "image_in"}
        assert 0 < row["in"] <= row["out"] <= 200, name
    for name, row in TABLE["images"].items():
        assert set(row) == {"each"}
        assert 0.001 < row["each"] < 2, name


@pytest.mark.parametrize(
    ("model", "row"),
    [
        ("gpt-4.1", "gpt-4.1"),
        ("gpt-4.1-2025-04-14", "gpt-4.1"),
        ("gpt-4.1-mini", "gpt-4.1-mini"),
        ("openai/gpt-4.1-mini", "gpt-4.1-mini"),
        ("GPT-4o", "gpt-4o"),
        ("gpt-5.2", "gpt-5.2"),
        ("gpt-image-2-2026-04-21", "gpt-image-2"),
        ("gpt-image-2.5-flare-2026-09-08", "gpt-image-2.5-flare"),
        ("gemini-3.1-pro-preview", "gemini-3.1-pro"),
    ],
)
def test_a_release_costs_what_its_model_costs(model: str, row: str) -> None:
    found, wanted = prices.tokens(model), TABLE["tokens"][row]
    assert found == Rate(wanted["in"], wanted["out"], wanted.get("image_in"))


@pytest.mark.parametrize("model", ["gpt-4.1-turbo", "gpt-9", "gpt", "", "Qwen/Qwen3-VL-8B-Instruct"])
def test_nobody_invents_a_price(model: str) -> None:
    assert prices.tokens(model) is None
    assert prices.per_image(model) is None


def test_what_the_user_says_wins() -> None:
    assert prices.tokens("gpt-4.1", 1.0, 2.0) == Rate(1.0, 2.0)
    assert prices.tokens("gpt-4.1", 1.0) == Rate(1.0, 0.0)
    assert prices.tokens("unknown", None, 3.0, hosted=False) == Rate(0.0, 3.0)


def test_ones_own_servers_cost_nothing() -> None:
    assert prices.tokens("gpt-4.1", hosted=False) == Rate(0.0, 0.0)


def test_per_image() -> None:
    assert prices.per_image("gemini-2.5-flash-image") == TABLE["images"]["gemini-2.5-flash-image"]["each"]
    assert (
        prices.per_image("models/gemini-3-pro-image-preview") == TABLE["images"]["gemini-3-pro-image"]["each"]
    )


def test_a_rate_in_dollars() -> None:
    assert Rate(2.0, 8.0).of(1_000_000, 500_000) == pytest.approx(6.0)
    assert Rate(5.0, 30.0, 8.0).of(1_100, 2_000, images=1_000) == pytest.approx(0.0685)
    assert Rate(2.0, 8.0).of(1_000, 0, images=400) == pytest.approx(0.002), "images cost what text costs"
