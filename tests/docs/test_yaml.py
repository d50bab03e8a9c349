"""Every file that the documents show loads (those of policy.md: test_policy.py)."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from tests.docs.render import DOCS

from tmux_agent.core import config, queue_file, screen_rules
from tmux_agent.core.policy_file import PolicyFile
from tmux_agent.core.queue_file import TasksFile
from tmux_agent.core.settings import Settings
from tmux_agent.services import pipeline_files

ROOT = DOCS.parent
PAGES = [ROOT / "README.md", *sorted(path for path in DOCS.glob("*.md") if path.name != "policy.md")]
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FOREIGN = "- alert:"  # rules for Prometheus, not for us
STAGE = "pipelines:\n- name: shown\n  stages:\n  - name: shown\n"  # what a part of a stage stands in


def blocks() -> list[tuple[str, str]]:
    """(page, text)."""
    found = [(page.name, text) for page in PAGES for text in BLOCK.findall(page.read_text())]
    return [(page, text) for page, text in found if not text.startswith(FOREIGN)]


def problems(text: str, folder: Path) -> list[str]:
    """What whoever reads such a file says of it: its first key tells whose it is."""
    first = re.findall(r"^(\w+):", text, re.MULTILINE)[0]
    if first == "external_check":
        text = STAGE + "    actions_on_start:\n" + textwrap.indent(f"- {text.replace(chr(10), chr(10) + '  ')}", "    ")
    if first == "actions_on_start":
        text = STAGE + textwrap.indent(text, "    ")
    if first in ("pipelines", "watch", "external_check", "actions_on_start"):
        file = folder / "shown.yaml"
        file.write_text(text)
        return [str(one) for one in pipeline_files.read(file)[1]]
    if first == "defaults":
        tasks, wrong = config.load(text, "shown", TasksFile)
        return [str(one) for one in (queue_file.problems(tasks.tasks, "shown") if tasks else wrong)]
    if first == "rules":
        return [str(one) for one in config.load(text, "shown", PolicyFile)[1]]
    wrong = screen_rules.load(text, "shown")[1] if first == "version" else config.load(text, "shown", Settings)[1]
    return [str(one) for one in wrong]


@pytest.mark.parametrize(("page", "text"), blocks(), ids=lambda value: value.partition("\n")[0])
def test_every_file_that_is_shown_loads(page: str, text: str, tmp_path: Path) -> None:
    """Without an error."""
    assert problems(text, tmp_path) == [], page


@pytest.mark.parametrize(("page", "text"), blocks(), ids=lambda value: value.partition("\n")[0])
def test_a_wrong_word_in_any_of_them_is_found(page: str, text: str, tmp_path: Path) -> None:
    """Its last key called otherwise: the test above can fail."""
    plain = re.sub(r" +#.*", "", text)
    wrong = re.sub(r"(?s)(.*\b)\w+(: )", r"\1unheard_of\2", plain, count=1)
    assert "unheard_of" in " ".join(problems(wrong, tmp_path)), page


def test_there_are_files() -> None:
    """The blocks were found, on the pages that are read most."""
    assert {"pipelines.md", "checks.md", "notifications.md", "options.md", "agents.md"} <= {
        page for page, _ in blocks()
    }
