"""Pipelines in real panes: typed by a real tmux into real shells, judged, approved, killed at random, done once."""

from __future__ import annotations

import functools
import random

import pytest
from tests.end_to_end.pipeline_world import STEP, World, approve, asked, pending, six
from tests.seeds import WEBAPP
from tests.sidecar import Peer, came, until


def test_the_first_example_of_the_seeds_from_lint_to_an_approved_build(world: World) -> None:
    world.file(WEBAPP)
    world.window("agent:codex-ci")
    world.sidecar.start()
    peer = world.attach()
    world.until(peer, lint="success", test="success", build="approval")
    question = asked(world)
    assert question["action"] == {
        "type": "pipeline", "pipeline": "webapp-ci", "stage": "build", "run_id": world.runs(peer)[0]["run_id"],
        "does": ["type: npm run build"],
    }  # fmt: skip
    assert world.typed() == ["npm run lint", "npm test"]
    approve(world, question)
    world.until(peer, build="success")
    assert world.typed() == ["npm run lint", "npm test", "npm run build"]
    until(lambda: world.runs(peer)[0]["state"] == "success")
    types = [record["type"] for record in world.sidecar.records()]
    assert types.count("action.finished") + types.count("action.started") >= 3
    told = [record["data"] for record in world.sidecar.records() if record["type"] == "pipeline.stage"]
    stages = [(one["stage"], one["state"]) for one in told]
    assert stages == [
        ("lint", "running"), ("lint", "success"), ("test", "running"), ("test", "success"), ("build", "approval"),
        ("build", "running"), ("build", "success"),
    ]  # fmt: skip


def test_a_no_fails_the_stage(world: World) -> None:
    world.file(WEBAPP)
    world.window("agent:codex-ci")
    world.sidecar.start()
    peer = world.attach()
    world.until(peer, build="approval")
    question = asked(world)
    approve(world, question, approved=False, comment="not before lunch")
    world.until(peer, build="failed")
    assert world.runs(peer)[0]["state"] == "failed"
    assert "not before lunch" in world.runs(peer)[0]["note"]
    assert world.typed() == ["npm run lint", "npm test"]


def test_a_pipeline_does_not_begin_in_other_panes_nor_twice_in_one(world: World) -> None:
    world.file(WEBAPP)
    world.window("other")
    world.sidecar.start()
    peer = world.attach()
    assert world.runs(peer) == []
    world.tmux.run("rename-window", "-t", "main:", "agent:codex-ci")
    world.until(peer, build="approval")
    world.sidecar.stop()
    world.sidecar.start()
    peer = world.attach()
    world.until(peer, build="approval")
    assert len(world.runs(peer)) == 1
    assert world.typed() == ["npm run lint", "npm test"]
    assert len(pending(world)) == 1


def test_a_sidecar_that_was_stopped_leaves_no_pipe_behind(world: World) -> None:
    """Its panes are as they were: another may pipe them, and no FIFO, socket or `cat` of ours is there."""
    world.file(WEBAPP)
    world.window("agent:codex-ci")
    world.sidecar.start()
    world.until(world.attach(), build="approval")
    fifos = world.sidecar.state / "fifos"
    assert len(list(fifos.iterdir())) == 1
    assert world.tmux.run("display-message", "-p", "-t", "%0", "#{pane_pipe}").strip() == "1"
    assert world.sidecar.stop() == 0
    assert list(fifos.iterdir()) == []
    assert world.tmux.run("display-message", "-p", "-t", "%0", "#{pane_pipe}").strip() == "0"
    assert list(world.sidecar.folder.rglob("*.sock")) == []


@pytest.mark.parametrize("match", ["pane_title: ^build me$", "command: ^tail$"])
def test_a_title_or_program_that_comes_later_begins_it(world: World, match: str) -> None:
    world.file(f"pipelines: [{{name: p, match: {{{match}}}, stages: [{{name: s}}]}}]")
    world.window("w")
    world.sidecar.start()
    peer = world.attach()
    assert world.runs(peer) == []
    title = """printf '\\033]2;build me\\007'; tail -f /dev/null"""
    world.tmux.run("send-keys", "-t", "%0", title, "Enter")
    world.until(peer, s="success")


def test_a_deny_rule_of_the_policy_holds_for_pipelines(world: World) -> None:
    stage = "{name: s, actions_on_start: [{send_keys: 'nc -l 1'}]}"
    world.file(f"pipelines: [{{name: p, match: {{window: w}}, stages: [{stage}]}}]")
    world.window("w")
    world.sidecar.start()
    peer = world.attach()
    world.until(peer, s="failed")
    assert "denied by rule 'no netcat'" in world.runs(peer)[0]["note"]
    assert "nc -l" not in world.tmux.run("capture-pane", "-p", "-t", "main:")


def test_what_an_agent_wants_of_a_run_is_asked(world: World) -> None:
    world.file(WEBAPP.replace('      window_name: "^agent:codex-ci$"', '      window_name: "^never$"'))
    world.window("w")
    world.sidecar.start()
    peer = world.attach()
    number = peer.start("pipeline.start", {"pipeline": "webapp-ci", "pane_id": "%0"})
    question = asked(world)
    assert question["action"]["does"] == [
        "# lint", "type: npm run lint", "# test", "type: npm test", "# build", "type: npm run build",
    ]  # fmt: skip
    assert world.typed() == []
    approve(world, question)
    run = peer.reply_to(number)["result"]["data"]
    world.until(peer, build="approval")
    world.person().call("pipeline.skip", {"run_id": run["run_id"], "stage": "build"})
    world.until(peer, build="skipped")
    assert pending(world) == []
    assert world.runs(peer)[0]["state"] == "success"


def test_guarded_commands_files_and_questions(world: World) -> None:
    world.file(f"""
pipelines:
  - name: p
    match: {{window: w}}
    stages:
      - name: run
        actions_on_start: [{{run: "allowed one"}}, {{ask: "Which?"}}]
      - name: wait
        needs: run
        success_when: [{{file: {world.sidecar.root}/flag}}]
      - name: codes
        needs: wait
        retries: 1
        actions_on_start: [{{run: [sh, -c, "echo try >> {world.sidecar.root}/tries; exit 3"]}}]
        success_when: [{{exit_code: 0}}]
""")
    world.window("w")
    world.sidecar.start()
    peer = world.attach()
    question = asked(world)
    assert question["action"] == {"type": "ask", "prompt": "Which?"}
    assert world.sidecar.effects() == ["one"]
    approve(world, question)
    world.until(peer, run="success", wait="running")
    (world.sidecar.root / "flag").touch()
    world.until(peer, wait="success", codes="failed")
    assert (world.sidecar.root / "tries").read_text() == "try\ntry\n"


def test_what_a_command_printed_while_the_sidecar_was_away_counts(world: World) -> None:
    world.file("""
pipelines:
  - name: p
    match: {window: w}
    stages:
      - name: s
        actions_on_start:
          - send_keys: "tmux wait-for -S began; tmux wait-for begin; echo all is $((40+2)); tmux wait-for -S said"
        success_when: [{log_regex: "^all is 42$"}]
""")
    world.window("w")
    world.sidecar.start()
    peer = world.attach()
    world.until(peer, s="running")
    world.tmux.run("wait-for", "began")
    world.sidecar.kill()
    world.tmux.run("wait-for", "-S", "begin")
    world.tmux.run("wait-for", "said")
    world.sidecar.start()
    world.until(world.attach(), s="success")


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_random_every_action_is_done_once(world: World, seed: int) -> None:
    """A command that was running at the kill is unknown, and a person says to try it again or to go on."""
    chance = random.Random(seed)
    world.sidecar.program("step", STEP)
    world.file(six())
    world.window("w")
    retried: list[str] = []
    for _ in range(12):
        world.sidecar.start()
        peer = world.attach()
        _mend(world, peer, retried)
        if came(functools.partial(_done, world, peer), chance.random() * 0.4):
            break
        world.sidecar.kill()
    else:
        world.sidecar.start()
        peer = world.attach()
    until(lambda: _done(world, peer) or _mend(world, peer, retried))
    typed = world.typed()
    for number in range(6):
        assert typed.count(str(number)) <= 1 + retried.count(f"s{number}"), (typed, retried)
        assert world.sidecar.effects().count(f"r{number}") <= 1, world.sidecar.effects()


def _done(world: World, peer: Peer) -> bool:
    return bool(world.runs(peer)) and world.runs(peer)[0]["state"] == "success"


def _mend(world: World, peer: Peer, retried: list[str]) -> bool:
    """What a person does who finds a stage unknown: goes on where its command has run, else tries it again."""
    for run in world.runs(peer):
        for one in run["stages"]:
            if one["state"] != "unknown":
                continue
            ran = f"r{one['name'][1]}" in world.sidecar.effects()
            retried += [] if ran else [one["name"]]
            what = {"run_id": run["run_id"], "stage": one["name"]}
            world.person().call("pipeline.skip" if ran else "pipeline.retry", what)
    return False


def test_nothing_is_typed_to_a_program_that_took_the_place_of_the_runs(world: World) -> None:
    """tmux tells nobody of respawn-pane: the pane keeps its id."""
    flag = world.sidecar.root / "flag"
    world.file(f"""
pipelines:
  - name: p
    match: {{window: w}}
    stages:
      - {{name: wait, success_when: [{{file: {flag}}}]}}
      - {{name: type, needs: wait, actions_on_start: [{{send_keys: "rm -r build"}}]}}
""")
    world.window("w")
    world.sidecar.start()
    peer = world.attach()
    world.until(peer, wait="running")
    world.tmux.run("respawn-pane", "-k", "-t", "%0", "exec cat")
    flag.touch()
    until(lambda: world.runs(peer)[0]["state"] == "failed")
    note = world.runs(peer)[0]["note"]
    assert "another program" in note or "its pane is gone" in note
    assert "rm -r" not in world.tmux.run("capture-pane", "-p", "-t", "%0")


def test_files_that_cannot_be_looked_at_are_not_there_and_hold_up_nothing(world: World) -> None:
    """Names that are too long, links in a circle, what may not be entered, nobody's home: the others go on."""
    root = world.sidecar.root
    (root / "circle").symlink_to("circle")
    paths = [f"{root}/{'x' * 300}/y", f"{root}/circle/x", "/proc/1/root/none/x", "~nobody-here/x", root / "flag"]
    stages = [f"{{name: s{at}, timeout: 3s, success_when: [{{file: {path}}}]}}" for at, path in enumerate(paths)]
    world.file(f"pipelines: [{{name: p, match: {{window: w}}, stages: [{', '.join(stages)}]}}]")
    world.window("w")
    world.sidecar.start()
    peer = world.attach()
    world.until(peer, s4="running")
    (root / "flag").touch()
    world.until(peer, s0="failed", s1="failed", s2="failed", s3="failed", s4="success")
    until(lambda: world.runs(peer)[0]["state"] == "failed")
    log = world.sidecar.log.read_text()
    assert "Traceback" not in log, log[-3000:]
