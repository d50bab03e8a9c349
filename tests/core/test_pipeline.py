"""How a pipeline goes on: the seeds' own examples, and every rule by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from tests.seeds import WEBAPP

from tmux_agent.core import config, markers
from tmux_agent.core.checks import GithubCheck
from tmux_agent.core.pipeline import advance
from tmux_agent.core.pipeline_begin import begin
from tmux_agent.core.pipeline_file import PipelineFile, PipelinesFile, argv
from tmux_agent.core.pipeline_look import next_due, under_way, wants_output
from tmux_agent.core.pipeline_problems import problems
from tmux_agent.core.pipeline_run import (
    Acted,
    Answered,
    AskPerson,
    Begun,
    Cancel,
    Checked,
    Clock,
    Do,
    FileSeen,
    Gone,
    Happening,
    Place,
    Printed,
    Retry,
    Run,
    RunState,
    Said,
    Skip,
    StageState,
    Tell,
    Told,
    Wanted,
)  # fmt: skip

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PANE = Place(server="/tmp/tmux", server_pid=1, pane="%7", pane_pid=70)
OTHER = Place(server="/tmp/tmux", server_pid=1, pane="%8", pane_pid=80)

DEPLOY = """
pipelines:
  - name: release
    notify: "wecom,local_bus"
    stages:
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


def pipeline(text: str) -> PipelineFile:
    file, wrong = config.load(text, "pipelines.yaml", PipelinesFile)
    assert not wrong
    assert file is not None
    assert not problems(file.pipelines[0], "pipelines.yaml")
    return file.pipelines[0]


class World:
    """A run, and what it wanted, in order."""

    def __init__(self, text: str, **begun: Any) -> None:
        self.now = NOW
        self.run: Run = begin(pipeline(text), "01RUN", PANE, NOW, **begun)
        self.wanted: list[Wanted] = []
        self.tell(Begun())

    def tell(self, *events: Happening) -> None:
        for event in events:
            self.run, wanted = advance(self.run, event, self.now)
            self.wanted += wanted

    def take(self) -> list[Wanted]:
        wanted, self.wanted = self.wanted, []
        return wanted

    def acts(self) -> list[str]:
        """What is typed or run, and done at once."""
        found = []
        for one in self.take():
            if isinstance(one, Do):
                act = one.action
                found.append(str(act.send_keys or act.run or act.notify or act.ask or "check"))
                self.tell(Acted(stage=one.stage, attempt=one.attempt, index=one.index, ok=True, later=one.later))
            elif isinstance(one, AskPerson):
                found.append(f"approve {one.stage}?")
        return found + (self.acts() if self.wanted else [])

    def states(self) -> dict[str, str]:
        return {one.name: one.state.value for one in self.run.stages}

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.tell(Clock())


def ok(stage: str, place: Place = PANE, **fields: Any) -> Said:
    return Said(place, markers.Status(stage=stage, ok=True, **fields))


def test_the_first_example_of_the_seeds() -> None:
    world = World(WEBAPP)
    assert world.acts() == ["npm run lint"]
    assert wants_output(world.run, PANE)
    world.tell(Printed(OTHER, "0 problems\n"), Printed(PANE, "✖ 3 problems\n"))
    assert world.states()["lint"] == "running"
    world.tell(Printed(PANE, "done\n✔ 0 Problems\n"))
    assert world.acts() == ["npm test"]
    world.tell(ok("build"), ok("lint"))  # neither is under way
    assert world.acts() == []
    world.tell(ok("test"))
    assert world.acts() == ["approve build?"]
    world.tell(ok("build"))  # nobody has said yes
    assert world.states()["build"] == "approval"
    world.tell(Answered("build", ok=True))
    assert world.acts() == ["npm run build"]
    world.tell(ok("build"))
    assert world.run.state is RunState.SUCCESS
    assert set(world.states().values()) == {"success"}


def test_the_second_example_waits_for_the_outside_alone() -> None:
    world = World(DEPLOY)
    typed, = world.take()
    assert isinstance(typed, Do)
    world.tell(Acted(stage="deploy", attempt=1, index=0, ok=True))
    check, = world.take()
    assert isinstance(check, Do)
    spec = check.action.external_check
    assert isinstance(spec, GithubCheck)
    assert (spec.repository, spec.max_wait) == ("user/repo", 600)
    world.tell(ok("deploy"), Said(PANE, markers.Done()))
    world.tell(Checked(stage="deploy", attempt=1, index=1, reading="pending"))
    assert world.run.state is RunState.RUNNING
    world.tell(Checked(stage="deploy", attempt=1, index=1, reading="success", final=True))
    assert world.run.state is RunState.SUCCESS
    told, = world.take()
    assert isinstance(told, Tell)
    assert (told.channels, told.severity) == ("wecom,local_bus", "success")
    assert world.run.telling == (told,)
    world.tell(Told(told.key))
    assert world.run.telling == ()


def test_an_outside_failure_fails_the_stage() -> None:
    world = World(DEPLOY)
    world.take()
    world.tell(Acted(stage="deploy", attempt=1, index=0, ok=True))
    world.tell(Checked(stage="deploy", attempt=1, index=1, reading="failure", detail="run 7 failed", final=True))
    assert world.run.state is RunState.FAILED
    assert world.run.note == "deploy: run 7 failed"


def test_a_no_ends_it_and_what_needs_it_is_given_up() -> None:
    world = World(WEBAPP.replace('"lint"\n        actions', '"lint"\n        require_approval: true\n        actions'))
    assert world.acts() == ["approve lint?"]
    world.tell(Answered("lint", ok=False, comment="not today"))
    assert world.states() == {"lint": "failed", "test": "skipped", "build": "skipped"}
    assert world.run.stages[0].reason == "not today"
    assert world.run.state is RunState.FAILED


STAGE = """
pipelines:
  - name: p
    stages:
      - name: s
        actions_on_start: [{send_keys: make}]
"""


def with_keys(keys: str) -> str:
    return STAGE + keys


def test_tries_wait_ever_longer_and_then_it_has_failed() -> None:
    world = World(with_keys("        retries: {max: 2, backoff: 10s}\n        fail_when: [{log_regex: 'error:'}]\n"))
    for wait in (10, 20):
        assert world.acts() == ["make"]
        world.tell(Printed(PANE, "error: no\n"))
        assert world.states() == {"s": "retrying"}
        assert next_due(world.run) == world.now + timedelta(seconds=wait)
        world.later(wait - 1)
        assert world.acts() == []
        world.later(1)
    assert world.acts() == ["make"]
    world.tell(Printed(PANE, "error: no\n"))
    assert world.run.state is RunState.FAILED
    assert world.run.stages[0].attempt == 3


def test_stages_that_mean_more_than_a_run_can_hold_are_not_counted_to_their_end() -> None:
    matrix = "{a: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], b: [1, 2]}"
    many = ", ".join(f"{{name: s{number}, matrix: {matrix}}}" for number in range(11))
    with pytest.raises(ValueError, match="more than 200 stages"):
        World(f"pipelines: [{{name: p, stages: [{many}]}}]")


def test_words_of_a_build_end_a_stage_where_they_are_sure_enough() -> None:
    good = "        success_when: [{reading: success}]\n"
    both = good + "        fail_when: [{reading: {state: failure, confidence: 0.8}}]\n"
    for said, state in {
        Printed(PANE, "Compiling\nerror: telemetry is away\n"): "running",
        Printed(PANE, "$ make # BUILD SUCCESSFUL in 1s\n"): "running",
        Printed(OTHER, "3 passed in 2.10s\n"): "running",
        Printed(PANE, "1 failed in 0.1s\n$ pytest\n3 passed in 2.10s\n$ "): "success",
        Printed(PANE, "", ("3 passed in 2.10s",)): "success",
        Printed(PANE, "make: *** [all] Error 2\n"): "failed",
    }.items():
        world = World(with_keys(both))
        assert wants_output(world.run, PANE)
        world.acts()
        world.tell(said)
        assert world.states() == {"s": state}, said


def test_what_belongs_to_an_earlier_try_counts_no_more() -> None:
    world = World(with_keys("        retries: 1\n"))
    first, = world.take()
    assert isinstance(first, Do)
    world.tell(Said(PANE, markers.Status(stage="s", ok=False)))
    world.tell(Acted(stage="s", attempt=1, index=0, ok=True))
    world.tell(Acted(stage="s", attempt=1, index=0, ok=False, detail="late"))
    second = [one for one in world.take() if isinstance(one, Do)]
    assert [(one.attempt, one.index) for one in second] == [(2, 0)]


def test_time_runs_out() -> None:
    world = World(with_keys("        timeout: 5m\n"))
    world.acts()
    assert next_due(world.run) == NOW + timedelta(minutes=5)
    world.later(300)
    assert world.run.note == "s: its time ran out"


def test_an_approval_times_out() -> None:
    world = World(with_keys("        require_approval: {timeout: 1m}\n        retries: 3\n"))
    world.later(60)
    assert world.run.note == "s: nobody approved it in time"


def test_exit_codes_decide() -> None:
    run = STAGE.replace("{send_keys: make}", "{run: make test}")
    for codes, exit_code, state in (
        ("", 0, "success"),
        ("", 2, "failed"),
        ("        success_when: [{exit_code: [0, 2]}]\n", 2, "success"),
        ("        success_when: [{exit_code: 0}]\n", 3, "failed"),
        ("        fail_when: [{exit_code: 3}]\n        success_when: [{log_regex: x}]\n", 3, "failed"),
    ):
        world = World(run + codes)
        world.tell(Acted(stage="s", attempt=1, index=0, ok=exit_code == 0, exit_code=exit_code))
        assert world.states() == {"s": state}, (codes, exit_code)


def test_nothing_follows_an_action_that_failed() -> None:
    world = World(STAGE.replace("[{send_keys: make}]", "[{run: a}, {run: b}]"))
    world.take()
    world.tell(Acted(stage="s", attempt=1, index=0, ok=False, detail="not there"))
    assert world.acts() == []
    assert world.run.note == "s: not there"


def test_several_keys_of_one_condition_all_have_to_hold() -> None:
    world = World(with_keys("        success_when: [{log_regex: built, file: dist/app}, {marker: DONE}]\n"))
    world.acts()
    world.tell(Printed(PANE, "built\n"))
    assert world.states() == {"s": "running"}
    world.tell(FileSeen("dist/app", exists=True))
    assert world.states() == {"s": "success"}


def test_an_unknown_action_is_never_done_again_by_itself() -> None:
    world = World(with_keys("        retries: 5\n"))
    world.take()
    world.tell(Acted(stage="s", attempt=1, index=0, ok=None, detail="it was running when the sidecar died"))
    assert world.states() == {"s": "unknown"}
    assert world.run.state is RunState.FAILED
    assert world.acts() == []
    world.tell(Retry("s"))
    assert world.acts() == ["make"]
    assert world.run.state is RunState.RUNNING


def test_a_person_retries_skips_and_cancels() -> None:
    world = World(WEBAPP)
    world.acts()
    world.tell(Said(PANE, markers.Failure(stage="lint", message="eslint crashed")))
    assert world.run.note == "lint: eslint crashed"
    world.tell(Retry())
    assert world.states() == {"lint": "running", "test": "waiting", "build": "waiting"}
    world.tell(Skip("lint"))
    assert [one for one in world.acts() if one == "npm test"] == ["npm test"]
    world.tell(Cancel("enough"))
    assert world.run.state is RunState.CANCELLED
    assert world.states() == {"lint": "skipped", "test": "cancelled", "build": "cancelled"}
    world.tell(ok("test"), Clock(), Begun())
    assert world.acts() == []


def test_a_stage_that_failed_may_be_skipped_and_the_run_goes_on() -> None:
    world = World(WEBAPP)
    world.acts()
    world.tell(Said(PANE, markers.Failure(stage="lint")))
    assert world.run.state is RunState.FAILED
    world.tell(Skip("lint"))
    assert world.acts() == ["npm test"]
    assert world.states() == {"lint": "skipped", "test": "running", "build": "waiting"}


def test_signed_markers_only() -> None:
    world = World(STAGE.replace("name: p\n", "name: p\n    markers: signed\n"), token="t0ken")
    world.acts()
    world.tell(ok("s"))
    assert world.states() == {"s": "running"}
    world.tell(Said(PANE, markers.Status(stage="s", ok=True, run="t0ken"), signed=True))
    assert world.states() == {"s": "success"}


def test_a_marker_that_could_be_about_several_stages_moves_none() -> None:
    world = World(STAGE + "      - {name: t, actions_on_start: [{send_keys: make t}]}\n")
    assert sorted(world.acts()) == ["make", "make t"]
    world.tell(Said(PANE, markers.Status(ok=True)))
    assert world.states() == {"s": "running", "t": "running"}


def test_a_dag_of_needs_and_failures() -> None:
    text = """
pipelines:
  - name: p
    stages:
      - {name: a, actions_on_start: [{run: a}]}
      - {name: b, actions_on_start: [{run: b}]}
      - {name: c, needs: [a, b], actions_on_start: [{run: c}]}
      - {name: rescue, triggers: [{after_stage_failure: c}], actions_on_start: [{run: rescue}]}
      - {name: never, needs: rescue, triggers: [{after_stage_failure: a}], actions_on_start: [{run: never}]}
"""
    world = World(text)
    assert [one.stage for one in world.take() if isinstance(one, Do)] == ["a", "b"]
    world.tell(Acted(stage="a", attempt=1, index=0, ok=True, exit_code=0))
    assert world.take() == []
    world.tell(Acted(stage="b", attempt=1, index=0, ok=True, exit_code=0))
    assert [one.stage for one in world.take() if isinstance(one, Do)] == ["c"]
    world.tell(Acted(stage="c", attempt=1, index=0, ok=False, exit_code=1))
    assert [one.stage for one in world.take() if isinstance(one, Do)] == ["rescue"]
    world.tell(Acted(stage="rescue", attempt=1, index=0, ok=True, exit_code=0))
    assert world.states() == {"a": "success", "b": "success", "c": "failed", "rescue": "success", "never": "skipped"}
    assert world.run.state is RunState.FAILED


def test_on_failure_acts_or_goes_on() -> None:
    world = World(with_keys("        on_failure: [{notify: stdout}]\n        fail_when: [{log_regex: bad}]\n"))
    world.acts()
    world.tell(Printed(PANE, "bad\n"))
    assert world.run.state is RunState.RUNNING  # until its last action is done
    assert world.acts() == ["stdout"]
    assert world.run.state is RunState.FAILED

    goes_on = with_keys("        on_failure: continue\n      - {name: t, needs: s, actions_on_start: [{run: t}]}\n")
    world = World(goes_on)
    world.acts()
    world.tell(Said(PANE, markers.Status(stage="s", ok=False)))
    assert world.states() == {"s": "failed", "t": "running"}
    world.tell(Acted(stage="t", attempt=1, index=0, ok=True, exit_code=0))
    assert world.run.state is RunState.SUCCESS


def test_matrix_makes_instances_with_their_values() -> None:
    text = """
pipelines:
  - name: p
    env: {tool: pytest}
    stages:
      - name: test
        matrix: {python: ["3.11", "3.12"]}
        actions_on_start: [{run: ["${tool}", "--python", "${python}", "${HOME}"]}]
      - {name: end, needs: test, actions_on_start: [{run: end}]}
"""
    world = World(text)
    acts = [one for one in world.take() if isinstance(one, Do)]
    assert [(one.stage, one.action.run) for one in acts] == [
        ("test (3.11)", ("pytest", "--python", "3.11", "${HOME}")),
        ("test (3.12)", ("pytest", "--python", "3.12", "${HOME}")),
    ]
    for one in acts:
        world.tell(Acted(stage=one.stage, attempt=1, index=0, ok=True, exit_code=0))
    assert world.states()["end"] == "running"


def test_a_stage_over_panes() -> None:
    world = World(
        STAGE.replace("actions_on_start", "panes: {window_name: work}\n        actions_on_start"),
        panes={"s": (PANE, OTHER)},
    )  # fmt: skip
    assert [one.stage for one in world.take() if isinstance(one, Do)] == ["s (%7)", "s (%8)"]
    for name in ("s (%7)", "s (%8)"):
        world.tell(Acted(stage=name, attempt=1, index=0, ok=True))
    world.tell(ok("s", PANE))
    assert world.states() == {"s (%7)": "success", "s (%8)": "running"}
    world.tell(Gone(OTHER))
    assert world.run.state is RunState.FAILED


def test_when_skips_and_what_needs_it_goes_on() -> None:
    text = with_keys("        when: {branch: ^main$}\n      - {name: t, needs: s, actions_on_start: [{run: t}]}\n")
    world = World(text, facts={"branch": "feature/x"})
    assert world.states() == {"s": "skipped", "t": "running"}
    assert world.run.stages[0].reason == "when: branch does not match"
    assert World(text, facts={"branch": "main"}).states() == {"s": "running", "t": "waiting"}


def test_escalation_tells_each_step_once() -> None:
    steps = "[{after: 1m, notify: phone}, {after: 5m, notify: boss}]"
    world = World(with_keys(f"        require_approval: true\n        escalation: {steps}\n"))
    told = []
    for _ in range(8):
        world.later(60)
        told += [one.channels for one in world.take() if isinstance(one, Tell)]
    assert told == ["phone", "boss"]


def test_what_is_under_way_is_wanted_again_after_a_restart() -> None:
    world = World(WEBAPP)
    wanted = world.take()
    assert list(under_way(world.run)) == wanted
    world.tell(Acted(stage="lint", attempt=1, index=0, ok=True), Printed(PANE, "0 problems\n"))
    world.acts()
    world.tell(ok("test"))
    assert list(under_way(world.run)) == [AskPerson("build")]


def test_a_pane_that_goes_ends_what_runs_in_it() -> None:
    world = World(WEBAPP)
    world.tell(Gone(PANE, "its program ended"))
    assert world.states() == {"lint": "failed", "test": "cancelled", "build": "cancelled"}
    assert world.run.state is RunState.FAILED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{name: p, stages: []}", "has to be 1 to 200 stages"),
        ("{name: p, stages: [{name: a, needs: b}, {name: bb}]}", "a stage 'b' that is not there, did you mean bb?"),
        ("{name: p, stages: [{name: a, needs: b}, {name: b, needs: a}]}", "in a circle: a → b → a"),
        ("{name: p, stages: [{name: a}, {name: a}]}", "is the name of two stages"),
        ("{name: p, stages: [{name: a, actions_on_start: [{}]}]}", "has to have exactly one of send_keys, run"),
        ("{name: p, stages: [{name: a, actions_on_start: [{run: 'a | b'}]}]}", "needs a shell"),
        ("{name: p, stages: [{name: a, success_when: [{log_regex: '('}]}]}", "missing )"),
        (f"{{name: p, stages: [{{name: a, matrix: {{{', '.join(f'k{n}: [1, 2, 3, 4, 5, 6]' for n in range(20))}}}}}]}}",
         "more than 200 stages"),
        ("{name: p, stages: [{name: a, success_when: [{log_regex: '(?=x)'}]}]}", "look-around"),
        ("{name: p, stages: [{name: a, success_when: [{external_status: success}]}]}", "has no external_check"),
        ("{name: p, stages: [{name: a, success_when: [{exit_code: 0}]}]}", "runs no command"),
        ("{name: p, stages: [{name: a, success_when: [{}]}]}", "names nothing to wait for"),
        ("{name: p, match: {window: '['}, stages: [{name: a}]}", "is no pattern"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, said: str) -> None:
    file, wrong = config.load(f"pipelines:\n  - {text}\n", "p.yaml", PipelinesFile)
    found = [*wrong, *(problems(file.pipelines[0], "p.yaml") if file else ())]
    assert any(said in one.message and one.line == 2 for one in found), found


def test_words_of_a_command() -> None:
    assert argv("make 'a b' --x=1") == ("make", "a b", "--x=1")
    assert argv(["sh", "-c", "a|b"]) == ["sh", "-c", "a|b"]  # type: ignore[arg-type]
    for text in ("a; b", "a && b", "echo $(id)", "a > b", "`id`"):
        with pytest.raises(ValueError, match="needs a shell"):
            argv(text)


def test_an_event_of_another_run_changes_nothing() -> None:
    world = World(WEBAPP)
    before = world.run
    world.tell(Acted(stage="nope", attempt=1, index=0, ok=True), Answered("lint", ok=True))
    world.tell(Printed(OTHER, "0 problems"))
    assert replace(world.run) == before
    assert StageState.UNKNOWN not in {one.state for one in world.run.stages}
