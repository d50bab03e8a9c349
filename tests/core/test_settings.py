"""config.yaml's settings and the environment variables over them."""

from __future__ import annotations

from tmux_agent.core import settings
from tmux_agent.core.settings import Settings, override


def test_each_setting_has_a_variable() -> None:
    """Every key of every section can be overridden by name, and the short names of the documents work."""
    names = settings.variables()
    assert names["TMUX_AGENT_LIMITS_CONNECTIONS"] == ("limits", "connections")
    assert names["TMUX_AGENT_ROOT_DIR"] == ("root_dir",)
    assert names["TMUX_AGENT_AUDIT_FILE"] == ("audit", "file")


def test_the_environment_wins() -> None:
    """Numbers, texts and lists are read from text."""
    environ = {
        "TMUX_AGENT_LIMITS_CONNECTIONS": "7",
        "TMUX_AGENT_ROOT_DIR": "/a:/b",
        "TMUX_AGENT_AUDIT_FILE": "/log/a.jsonl",
        "TMUX_AGENT_COMMANDS_TIMEOUT": "1.5",
        "UNRELATED": "x",
    }
    changed, wrong = override(Settings(), environ)
    assert wrong == ()
    assert changed.limits.connections == 7
    assert changed.root_dir == ("/a", "/b")
    assert changed.audit.file == "/log/a.jsonl"
    assert changed.commands.timeout == 1.5


def test_a_value_that_does_not_fit_is_said_and_left() -> None:
    """A typo in the environment does not stop the sidecar, and does not pass unseen."""
    changed, wrong = override(Settings(), {"TMUX_AGENT_LIMITS_CONNECTIONS": "many"})
    assert changed == Settings()
    assert len(wrong) == 1
    assert "TMUX_AGENT_LIMITS_CONNECTIONS='many'" in wrong[0]
