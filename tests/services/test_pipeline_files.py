"""Files of pipelines on disk: what is read, what is wrong with it and where, and what stays in force."""

from __future__ import annotations

from pathlib import Path

import pytest

from tmux_agent.core.errors import NotFound
from tmux_agent.services.pipeline_files import PipelineFiles, read

STAGES = """# a list alone, as the second example of the seeds
- name: "deploy"
  actions_on_start:
    - send_keys: "gh workflow run deploy.yml"
    - external_check:
        type: "github_action"
        repository: "user/repo"
        max_wait: 600
  success_when:
    - external_status: "success"
"""


def test_a_list_of_stages_is_a_pipeline_called_as_its_file(tmp_path: Path) -> None:
    path = tmp_path / "release.yaml"
    path.write_text(STAGES)
    file, wrong = read(path)
    assert not wrong
    assert file is not None
    assert [(one.name, [stage.name for stage in one.stages]) for one in file.pipelines] == [("release", ["deploy"])]


def test_a_list_of_pipelines_is_one(tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text("- name: a\n  stages: [{name: s}]\n- name: b\n  stages:\n  - {name: s}\n")
    file, wrong = read(path)
    assert not wrong
    assert file is not None
    assert [one.name for one in file.pipelines] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("pipelines:\n- name: a\n  stages: [{name: s, need: x}]\n", 3, "did you mean needs?"),
        ("- name: a\n  stages:\n  - {name: s, needs: x}\n", 3, "needs a stage 'x' that is not there"),
        ("- name: s\n  sucess_when: []\n", 2, "did you mean success_when?"),
        ("pipelines: [\n", 2, "is not YAML"),
    ],
)
def test_what_is_wrong_names_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    _, wrong = read(path)
    assert [(one.line, said in one.message) for one in wrong] == [(line, True)], wrong


def test_a_file_that_went_wrong_leaves_the_last_good_one(tmp_path: Path) -> None:
    files = PipelineFiles(tmp_path)
    (tmp_path / "a.yaml").write_text("pipelines: [{name: a, stages: [{name: s}]}]")
    (tmp_path / "b.yaml").write_text("pipelines: [{name: b, stages: [{name: s}]}]")
    assert files.load((), "policy.yaml") == ()
    (tmp_path / "a.yaml").write_text("pipelines: {}")
    assert len(files.load((), "policy.yaml")) == 1
    assert [one.name for one in files.all()] == ["a", "b"]
    (tmp_path / "a.yaml").unlink()
    assert files.load((), "policy.yaml") == ()
    assert [one.name for one in files.all()] == ["b"]
    with pytest.raises(NotFound, match="did you mean b"):
        files.get("bb")


def test_two_pipelines_of_one_name_are_an_error(tmp_path: Path) -> None:
    files = PipelineFiles(tmp_path)
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("pipelines: [{name: same, stages: [{name: s}]}]")
    wrong, = files.load((), "policy.yaml")
    assert "two pipelines" in wrong.message
    assert len(files.all()) == 1
