"""What a run's progress says of its servers, to people and in the heartbeat."""

from __future__ import annotations

from collections import Counter

from editthinker.cli.run_progress import state
from editthinker.runs.tally import Tally
from editthinker.wire.pool import MemberState

UP = MemberState("gpu-a", "up", 3, 9, 0.42, 120, 0, "")
RESTING = MemberState("gpu-b", "resting", 0, 4, None, 0, 5, "the server answered 503")


def tally(*servers: MemberState) -> Tally:
    made = Tally(
        inputs=9, calls=Counter({"editor": 125}), room={"editor": 12}, in_flight=Counter({"editor": 3})
    )
    made.servers["editor"] = servers
    return made


def test_each_of_several_servers_has_a_line() -> None:
    lines = state(tally(UP, RESTING))
    assert "  gpu-a: up, 3 of 9 under way, 0.4 s a call, 120 answered" in lines
    assert "  gpu-b: resting, 0 of 4 under way, 0 answered, 5 failed (the server answered 503)" in lines
    assert not any("gpu-a" in line for line in state(tally(UP)))  # its role's line says it all


def test_the_heartbeat_has_servers_and_utilisation() -> None:
    document = tally(UP, RESTING).document()
    assert document["utilisation"] == {"editor": 0.25}
    told = document["servers"]["editor"]
    assert [server["name"] for server in told] == ["gpu-a", "gpu-b"]
    assert told[1]["trouble"] == "the server answered 503"
    assert told[0]["latency"] == 0.42
