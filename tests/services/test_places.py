"""Where things are, from the environment alone; and which folders are safe to listen in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tmux_agent.core.errors import Unavailable
from tmux_agent.services import places


def test_the_socket_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """TMUX_AGENT_SOCKET, XDG_RUNTIME_DIR, then a folder of our own; empty and relative values count as unset."""
    home = {"HOME": "/h"}
    named = places.find(home | {"TMUX_AGENT_SOCKET": "/s", "XDG_RUNTIME_DIR": "/run/user/7"})
    assert (named.socket, named.chosen) == (Path("/s"), "given")
    runtime = places.find(home | {"TMUX_AGENT_SOCKET": "", "XDG_RUNTIME_DIR": "/run/user/7"})
    assert (runtime.socket, runtime.chosen) == (Path("/run/user/7/tmux-agent.sock"), "runtime")
    for value in ({}, {"XDG_RUNTIME_DIR": ""}, {"XDG_RUNTIME_DIR": "relative"}):
        own = places.find(home | value)
        assert own.chosen == "own"
        assert own.socket.name == "tmux-agent.sock"
        assert own.socket.parent.name == "tmux-agent"


def test_state_and_configuration_follow_xdg() -> None:
    """Our own variables win, XDG's come next, the home folder last."""
    found = places.find({"HOME": "/h", "XDG_STATE_HOME": "/st", "TMUX_AGENT_CONFIG_DIR": "/c"})
    assert (found.state, found.config) == (Path("/st/tmux-agent"), Path("/c"))
    assert found.data == Path("/h/.local/share/tmux-agent")


def test_our_own_folder_is_made_and_closed(tmp_path: Path) -> None:
    """It gets mode 0700, also where it was there with another; a link in its place is refused."""
    folder = tmp_path / "tmux-agent"
    places.check_socket(folder / "s", "own")
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    places.check_socket(folder / "s", "own")
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(Unavailable, match="symbolic link"):
        places.check_socket(folder / "s", "own")


def test_the_systems_folder_is_not_made(tmp_path: Path) -> None:
    """XDG_RUNTIME_DIR is made by the log-in, not by us."""
    with pytest.raises(Unavailable, match="cannot be used"):
        places.check_socket(tmp_path / "none" / "s", "runtime")


def test_small_files_are_replaced_whole(tmp_path: Path) -> None:
    """No reader sees half of one; a folder that cannot be written to is a clear error."""
    places.write_whole(tmp_path / "file", "one\n")
    places.write_whole(tmp_path / "file", "two\n")
    assert (tmp_path / "file").read_text() == "two\n"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("file")] == ["file"]
    with pytest.raises(Unavailable, match="cannot be written"):
        places.write_whole(tmp_path / "none" / "file", "x")
