"""services/config_file.py and kept_rules.py: the person's own files, whatever stands in their place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tmux_agent.core.errors import Unavailable
from tmux_agent.core.settings import Settings
from tmux_agent.services.config_file import own_text, read_settings
from tmux_agent.services.kept_rules import NAME, KeptRules

RULE = {"name": "ls", "when": {"command": ["ls"]}, "verdict": "allow"}


def put(kind: str, file: Path) -> None:
    """Something that is no readable text in the place of a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    match kind:
        case "fifo":
            os.mkfifo(file)
        case "folder":
            file.mkdir()
        case "device":
            file.symlink_to("/dev/zero")
        case "huge":
            with file.open("wb") as out:
                out.truncate((1 << 20) + 1)
        case "bytes":
            file.write_bytes(b"roots: [\xff]\n")


NO_FILES = ("fifo", "folder", "device", "huge", "bytes")


@pytest.mark.parametrize("kind", NO_FILES)
def test_nobody_waits_for_config_yaml(tmp_path: Path, kind: str) -> None:
    """It is said to be wrong, and what was in force stays."""
    file = tmp_path / "config.yaml"
    put(kind, file)
    before = Settings(root_dir=("/srv",))
    settings, wrong = read_settings(file, {}, before)
    assert len(wrong) == 1
    assert str(file) in wrong[0]
    assert settings == before


@pytest.mark.parametrize("kind", NO_FILES)
def test_nobody_waits_for_kept_rules(tmp_path: Path, kind: str) -> None:
    """Neither listing nor adding hangs, and what is there is not written over."""
    kept = KeptRules(tmp_path)
    put(kind, kept.file)
    with pytest.raises(Unavailable, match="cannot be read"):
        kept.rules()
    with pytest.raises(Unavailable, match="cannot be read"):
        kept.add(RULE)
    assert os.path.lexists(kept.file)


def test_what_lies_in_the_way_of_new_rules_is_put_aside(tmp_path: Path) -> None:
    """A FIFO or a link under the name that is written first: the rules arrive, and the link's target stays."""
    kept = KeptRules(tmp_path)
    fresh = (tmp_path / "policy.d" / NAME).with_suffix(".new")
    put("fifo", fresh)
    kept.add(RULE)
    other = tmp_path / "other"
    other.write_text("mine")
    fresh.symlink_to(other)
    kept.add({**RULE, "name": "ls again"})
    assert [rule["name"] for rule in kept.rules()] == ["ls", "ls again"]
    assert other.read_text() == "mine"


def test_a_plain_file_is_read(tmp_path: Path) -> None:
    """Also through a link, which people have theirs behind."""
    (tmp_path / "real").write_text("log_level: debug\n")
    (tmp_path / "config.yaml").symlink_to("real")
    assert own_text(tmp_path / "config.yaml") == "log_level: debug\n"
    settings, wrong = read_settings(tmp_path / "config.yaml", {})
    assert (settings.log_level, wrong) == ("debug", ())
