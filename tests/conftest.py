"""Tests see neither the configuration nor the variables of whoever runs them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

os.environ["RAY_AUTH_MODE"] = "disabled"  # before Ray is loaded: it would put a token into the home folder
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A script began this with "&": whatever the tests start would not hear Ctrl-C either.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where another program held the processor, a test that watches the clock is tried again, twice."""
    for item in items:
        if item.get_closest_marker("clock"):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=2))


@pytest.fixture(scope="session", autouse=True)
def _nobody_s_configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("EDITTHINKER_")]:
            patch.delenv(name)
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield
