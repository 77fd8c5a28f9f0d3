"""The same folder in this process and behind `transformers serve`: the same words at temperature 0."""

import pytest
from test_chat_transformers_serve import served, thinker  # noqa: F401 - a fixture

from editthinker.testing import photograph
from editthinker.testing.behaviour import check_thinker
from editthinker.thinkers.local import LocalThinker, generating, loading

pytestmark = pytest.mark.slow

ASKED = [
    (photograph(), photograph(seed=1), "Compare."),
    (photograph(seed=2), "make it warmer", photograph(80, 120, seed=3), "and sharper"),
    ("words alone",),
]


async def test_the_same_words_as_a_server(served):  # noqa: F811
    chat = thinker(served, temperature="0").asking.chat
    loaded = loading.load(served[1], LocalThinker.Settings(), "the model")
    theirs = [(await chat.ask(parts)).text for parts in ASKED]
    ours = [generating.write(loaded, [generating.Asked(parts, 0)], 24, 0.0)[0].text for parts in ASKED]
    assert ours == theirs
    assert len(set(ours)) == len(ASKED), "the images make no difference"
    together = generating.write(loaded, [generating.Asked(parts, 0) for parts in ASKED[:2]], 24, 0.0)
    assert [written.text for written in together] == ours[:2]


def test_a_llava_behaves(served):  # noqa: F811
    settings = LocalThinker.Settings(max_tokens=12)
    check_thinker(lambda: LocalThinker(served[1], settings, name="local:tiny-llava"))
