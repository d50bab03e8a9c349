"""What every test gets: an environment of its own, and the rule that nothing is skipped where all is installed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A socket's path may have 107 bytes, and folders of tests have long names of their own.
os.environ.pop("TMPDIR", None)
tempfile.tempdir = None

# Programs that believe themselves on a build server behave otherwise: Gemini ends where it finds no prompt in its
# arguments. What the tests start is started as by a person at a terminal.
for _name in [name for name in os.environ if name == "CI" or name.startswith(("CI_", "CONTINUOUS_INTEGRATION"))]:
    del os.environ[_name]

# No time limits: how fast an example runs is for the bench. Where all must pass to land (.ci/run) the examples are the
# same in every run; anywhere else each run looks for new ones.
settings.register_profile(
    "search", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.register_profile("same", settings.get_profile("search"), derandomize=True, database=None)
SKIPPED = 9  # an exit status of its own: .ci/run gives what was skipped no second chance
settings.load_profile("same" if os.environ.get("TMUX_AGENT_NO_SKIPS") else "search")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where .ci/run has installed everything, a skipped test is a failed run."""
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped and os.environ.get("TMUX_AGENT_NO_SKIPS"):
        terminalreporter.write_line(f"{len(skipped)} skipped: not allowed here", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped") and os.environ.get("TMUX_AGENT_NO_SKIPS"):
        session.exitstatus = SKIPPED


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or touches the person's own tmux, sidecar, configuration or agents."""
    for name in list(os.environ):
        if name.startswith(("TMUX", "XDG_", "CLAUDE")) and name != "TMUX_AGENT_NO_SKIPS" and "_TEST_" not in name:
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
