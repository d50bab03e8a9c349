"""What a pipeline does besides typing: windows, messages, checks; what it hears over the socket; a real build."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import psutil
import pytest
from tests.end_to_end.pipeline_world import MARK, World, approve, asked, pending
from tests.services.bad_servers import Github
from tests.sidecar import ROOT, until


def cli(world: World, *words: str) -> str:
    """A shell line that runs the command in the pane's shell."""
    environ = " ".join(f"{name}='{value}'" for name, value in world.sidecar.environ.items())
    return f"env {environ} {sys.executable} -m tmux_agent {' '.join(words)}"


def test_emit_moves_a_stage_of_its_own_pane_and_a_question_that_is_denied_fails_it(world: World) -> None:
    world.file("""
pipelines:
  - name: p
    match: {window: w}
    stages:
      - {name: one, actions_on_start: [{send_keys: "true"}]}
      - {name: two, needs: one, actions_on_start: [{send_keys: "true"}]}
""")
    world.window("w")
    world.sidecar.start()
    peer = world.attach()
    world.until(peer, one="running")
    other = world.sidecar.agent()
    assert other.call("sentry.emit", {"marker": {"type": "STATUS", "stage": "one", "ok": True}})["first"]
    assert world.states(peer)["one"] == "running"  # it came from no pane
    world.tmux.run("send-keys", "-t", "%0", cli(world, "emit STATUS stage=one ok=true --id x1"), "Enter")
    world.until(peer, one="success", two="running")
    world.tmux.run("send-keys", "-t", "%0", cli(world, "emit ASK stage=two prompt=Really? --wait"), "Enter")
    question = asked(world)
    assert question["action"]["prompt"] == "Really?"
    approve(world, question, approved=False, comment="no way")
    world.until(peer, two="failed")
    assert "no way" in world.runs(peer)[0]["note"]
    until(lambda: "no way" in world.tmux.run("capture-pane", "-p", "-t", "%0"))
    told = [record["data"] for record in world.sidecar.records() if record["type"] == "marker"]
    assert [(one["kind"], one["by"]) for one in told] == [("STATUS", "socket"), ("STATUS", "socket"), ("ASK", "socket")]


def test_a_marker_counts_once_under_its_id_also_after_a_kill(world: World) -> None:
    world.window("w")
    world.sidecar.start()
    marker = {"type": "DONE", "id": "only once"}
    assert world.sidecar.agent().call("sentry.emit", {"marker": marker})["first"]
    world.sidecar.kill()
    world.sidecar.start()
    assert not world.sidecar.agent().call("sentry.emit", {"marker": marker}).get("first")
    assert [record["type"] for record in world.sidecar.records()].count("marker") == 1


def test_a_marker_over_the_socket_is_as_short_as_one_that_is_printed(world: World) -> None:
    world.window("w")
    world.sidecar.start()
    marker = {"type": "STATUS", "message": "x" * 100_000}
    assert "is longer than" in world.sidecar.agent().error("sentry.emit", {"marker": marker})["message"]
    assert "marker" not in [record["type"] for record in world.sidecar.records()]


def test_a_pane_that_prints_questions_without_end_is_asked_about_a_few_times(world: World) -> None:
    world.file("watch: [{window: w}]\n")
    world.sidecar.program("asks", f"""#!/bin/sh
for number in $(seq 60); do echo '{MARK} {{"type":"ASK","prompt":"'"$number"'?"}}'; done
echo '{MARK} {{"type":"DONE"}}'
""")
    world.window("w")
    world.sidecar.start()
    peer = world.attach()
    until(lambda: peer.call("sentry.panes")["panes"] and peer.call("sentry.panes")["panes"][0]["how"] == "its output")
    world.tmux.run("send-keys", "-t", "%0", "asks", "Enter")
    kinds = lambda: [one["data"]["kind"] for one in world.sidecar.records() if one["type"] == "marker"]  # noqa: E731
    until(lambda: "DONE" in kinds())
    assert kinds().count("ASK") == 60  # each is recorded
    until(lambda: len(pending(world)) >= 20)
    assert 20 <= len(pending(world)) <= 22


def test_what_is_sent_again_fails_no_second_try_and_ids_of_others_take_nothing_away(world: World) -> None:
    """An id counts once for whoever sent it: a failure that is sent again is not that of the next try."""
    world.file("""
pipelines:
  - name: p
    match: {window: w}
    stages: [{name: one, retries: {max: 1, backoff: 0s}, actions_on_start: [{send_keys: "true"}]}]
""")
    world.window("w")
    world.sidecar.start()
    peer = world.attach()

    def stage() -> tuple[int, str]:
        (one,) = world.runs(peer)[0]["stages"]
        return one.get("attempt", 0), one.get("waits_for", "")

    until(lambda: world.runs(peer) and stage() == (1, "a marker"))
    assert peer.call("sentry.emit", {"marker": {"type": "STATUS", "stage": "one", "ok": True, "id": "a"}})["first"]
    failed = cli(world, "emit STATUS stage=one ok=false --json --id a")
    world.tmux.run("send-keys", "-t", "%0", f"{failed}; {failed}; {failed}", "Enter")
    until(lambda: world.tmux.run("capture-pane", "-p", "-t", "%0").count('"first"') == 3)
    until(lambda: stage() in ((2, "a marker"), (2, "")))
    assert world.states(peer) == {"one": "running"}
    told = [record for record in world.sidecar.records() if record["type"] == "marker"]
    assert len(told) == 2  # the other's, and this one once


def test_what_signs_a_run_is_in_no_record_and_no_approval_file(world: World) -> None:
    """Whoever reads the log, a message or the file of a question cannot sign markers by it."""
    world.file("pipelines: [{name: p, stages: [{name: one, actions_on_start: [{run: printenv TMUX_AGENT_RUN}]}]}]")
    (world.sidecar.config / "policy.d").mkdir(exist_ok=True)
    (world.sidecar.config / "policy.d" / "ask.yaml").write_text(
        "rules: [{name: look, when: {command: [printenv]}, verdict: ask}]"
    )
    (world.sidecar.config / "config.yaml").write_text("answers: {files: true}")
    world.window("w")
    world.sidecar.start()
    peer = world.attach()
    world.person().call("pipeline.start", {"pipeline": "p"})
    question = asked(world)
    (file,) = (world.sidecar.state / "approvals").iterdir()
    shown = file.read_text()
    approve(world, question)
    world.until(peer, one="success")
    with sqlite3.connect(world.sidecar.state / "state.db") as db:
        ((body,),) = db.execute("SELECT body FROM pipeline_runs").fetchall()
    token = json.loads(body)["token"]
    assert "TMUX_AGENT_RUN" in shown
    assert token not in shown
    leaks = [record for record in world.sidecar.records() if token in json.dumps(record)]
    assert not leaks, "".join(json.dumps(one)[max(json.dumps(one).find(token) - 150, 0) :][:250] for one in leaks)


def test_a_printed_question_opens_an_approval(world: World) -> None:
    world.file("watch: [{window: w}]")
    world.window("w")
    world.sidecar.start()
    peer = world.attach()
    until(lambda: peer.call("sentry.panes")["panes"] and peer.call("sentry.panes")["panes"][0]["how"] == "its output")
    said = json.dumps({"type": "ASK", "prompt": "Which region?", "options": ["eu", "us"]})
    world.tmux.run("send-keys", "-t", "%0", f"printf '%s\\n' '{MARK} {said}'", "Enter")
    question = asked(world)
    assert question["action"] == {"type": "ask", "prompt": "Which region?", "options": ["eu", "us"]}
    assert question["origin"]["pane"] == "%0"
    assert question["origin"]["door"] == "marker"


@pytest.mark.parametrize("gone", ["pane", "program", "server", "server, while no sidecar was there"])
def test_what_a_pane_has_asked_is_taken_back_when_it_is_gone(world: World, gone: str) -> None:
    """What another pane asks waits on."""
    world.file("watch: [{session: .}]")
    world.window("w")
    world.tmux.run("new-session", "-d", "-s", "other", "-x", "100", "-y", "30", "sh")
    world.sidecar.start()
    peer = world.attach()
    until(lambda: [one["how"] for one in peer.call("sentry.panes")["panes"]] == ["its output"] * 2)
    for pane in ("%0", "%1"):
        said = json.dumps({"type": "ASK", "prompt": f"Which, {pane}?"})
        world.tmux.run("send-keys", "-t", pane, f"printf '%s\\n' '{MARK} {said}'", "Enter")
    until(lambda: len(pending(world)) == 2)
    match gone:
        case "pane":
            world.tmux.run("kill-pane", "-t", "%0")
        case "program":
            world.tmux.run("respawn-pane", "-k", "-t", "%0", "sh")
            world.tmux.run("new-window", "-d")  # tmux tells nobody of the other: with the next change it is seen
        case "server":
            world.tmux.run("kill-server")
        case _:
            world.sidecar.kill()
            former = int(world.tmux.run("display-message", "-p", "#{pid}"))
            world.tmux.run("kill-server")
            until(lambda: not psutil.pid_exists(former))  # before that it takes the new one's place at the socket
            world.window("w")
            world.sidecar.start()
            world.attach()
    left = [] if "server" in gone else ["Which, %1?"]
    until(lambda: [one["action"]["prompt"] for one in pending(world)] == left)
    notes = [one["data"]["note"] for one in world.sidecar.records() if one["type"] == "approval.withdrawn"]
    assert notes == ["its pane is gone"] * (2 - len(left))


@pytest.mark.parametrize("told_again", [False, True])
def test_a_question_outlives_the_sidecar_and_a_no_fails_its_stage_then_too(world: World, told_again: bool) -> None:
    """Killed after it was asked; with `told_again` before it was kept that the marker was seen: it is asked once."""
    token = world.sidecar.root / "token"
    world.file(f"""
pipelines:
  - name: p
    match: {{window: w}}
    markers: signed
    stages:
      - name: one
        actions_on_start: [{{run: [sh, -c, "printenv TMUX_AGENT_RUN > {token}"]}}]
        success_when: [{{marker: DONE}}]
""")
    world.window("w")
    world.sidecar.start()
    peer = world.attach()
    until(lambda: token.exists() and token.read_text().endswith("\n"))
    said = json.dumps({"type": "ASK", "stage": "one", "prompt": "Go?", "run": token.read_text().strip()})
    world.tmux.run("send-keys", "-t", "%0", f"clear; printf '%s\\n' '{MARK} {said}'", "Enter")
    asked(world)
    until(lambda: [one for one in world.sidecar.records() if one["type"] == "marker"])
    world.sidecar.kill()
    if told_again:
        with sqlite3.connect(world.sidecar.state / "state.db") as db:
            assert db.execute("UPDATE watched_panes SET body = x'5b5d' WHERE body <> x'5b5d'").rowcount == 1
    world.sidecar.start()
    peer = world.attach()
    until(lambda: len([one for one in world.sidecar.records() if one["type"] == "marker"]) > told_again)
    question = asked(world)
    approve(world, question, approved=False, comment="not today")
    world.until(peer, one="failed")
    assert "not today" in world.runs(peer)[0]["note"]
    assert pending(world) == []


class Answers(BaseHTTPRequestHandler):
    """Says that it is pending twice, then done."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        body = json.dumps({"state": "done" if type(self).asked > 2 else "queued"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def test_a_check_a_window_and_a_message(world: World) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    world.file(f"""
pipelines:
  - name: p
    match: {{window: ^w$}}
    notify: local_bus
    stages:
      - name: wait
        actions_on_start:
          - external_check:
              type: http
              url: http://127.0.0.1:{server.server_port}/state
              interval: 1
              backoff: 1
              expect: {{json_path: state, equals: done}}
        success_when: [{{external_status: success}}]
      - name: more
        needs: wait
        actions_on_start:
          - spawn: [sh, -c, "exec sleep 1000"]
          - notify: {{channels: local_bus, title: "a window is open"}}
""")
    world.window("w")
    world.sidecar.start()
    peer = world.attach()
    world.until(peer, wait="success", more="success")
    server.shutdown()
    assert Answers.asked == 3
    assert len(world.tmux.run("list-windows", "-t", "main", "-F", "#{window_id}").split()) == 2
    until(lambda: len(bus(world)) == 2)
    assert [one["title"] for one in bus(world)] == ["a window is open", "p succeeded"]


def bus(world: World) -> list[dict[str, Any]]:
    files = world.sidecar.state.glob("bus/*.jsonl")
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def test_a_real_build_with_an_approval_in_the_middle(world: World) -> None:
    """This project's own checks, run in a real pane."""
    python = sys.executable
    world.file(f"""
pipelines:
  - name: own build
    match: {{window: build}}
    stages:
      - name: lint
        actions_on_start: [{{send_keys: "cd {ROOT} && {python} -m ruff check sidecar/tmux_agent/core"}}]
        success_when: [{{log_regex: "All checks passed"}}]
        fail_when: [{{log_regex: "Found [0-9]+ error"}}]
      - name: tests
        needs: lint
        require_approval: true
        actions_on_start:
          - send_keys: "{python} -m pytest -q -p no:cacheprovider tests/core/test_rate.py tests/core/test_chain.py"
        success_when: [{{log_regex: "[0-9]+ passed"}}]
        fail_when: [{{log_regex: "[0-9]+ failed"}}]
        timeout: 2m
""")
    world.window("build")
    world.sidecar.start()
    peer = world.attach()
    world.until(peer, lint="success", tests="approval")
    question = asked(world)
    assert "pytest" in question["action"]["does"][0]
    approve(world, question)
    until(lambda: world.runs(peer)[0]["state"] != "running")
    assert world.runs(peer)[0]["state"] == "success", world.tmux.run("capture-pane", "-p", "-J", "-t", "%0")
    assert pending(world) == []
    database = sqlite3.connect(f"file:{world.sidecar.state}/state.db?mode=ro", uri=True)
    rows = database.execute("SELECT stage, status FROM stage_history ORDER BY started_at DESC LIMIT 10;").fetchall()
    database.close()
    assert rows == [("tests", "success"), ("lint", "success")]


def test_the_command_line_shows_what_is_declared_runs_and_would_be_done(world: World) -> None:
    world.file("""
watch: [{window: w}]
pipelines:
  - name: p
    match: {window: ^never$}
    stages:
      - {name: one, actions_on_start: [{send_keys: "ls"}, {run: "nc -l 1"}]}
      - {name: two, needs: one, require_approval: true}
""")
    world.window("w")
    world.sidecar.start()
    peer = world.attach()
    world.tmux.run("send-keys", "-t", "%0", f"echo '{MARK} {{oops}}'", "Enter")
    person = world.person()
    until(lambda: person.call("sentry.panes")["panes"] and person.call("sentry.panes")["panes"][0].get("invalid"))
    world.tmux.run("send-keys", "-t", "%0", "echo 3 passe''d in 0.10s", "Enter")
    until(lambda: person.call("sentry.panes")["panes"][0]["reading"].get("text") == "3 passed in 0.10s")
    seen, = peer.call("sentry.panes")["panes"]  # another's pane: how it went, not what it printed
    assert "invalid" not in seen
    assert seen["reading"] == {"state": "success", "confidence": 0.9, "strategy": "build"}

    def run(*words: str) -> str:
        argv = [sys.executable, "-m", "tmux_agent", *words]
        return subprocess.run(argv, env=world.sidecar.environ, capture_output=True, text=True, check=True).stdout

    doctor = subprocess.run(
        [sys.executable, "-m", "tmux_agent", "doctor"], env=world.sidecar.environ, capture_output=True, text=True
    )
    assert "1 panes are watched for markers" in doctor.stdout, doctor.stderr
    assert "Traceback" not in doctor.stderr
    assert "%0" in run("watch")
    assert "success" in run("watch")
    assert "success (90%, build)\n" in run("explain", "%0")
    explained = person.call("agent.explain", {"pane_id": "%0"})
    assert explained["reading"]["text"] == "3 passed in 0.10s"
    assert "oops" not in run("watch")  # who runs this is no person, and in no pane
    assert run("pipeline", "list").splitlines() == ["p  one → two"]
    assert run("pipeline", "history") == ""
    assert [one["name"] for one in json.loads(run("pipeline", "list", "--json"))["pipelines"]] == ["p"]
    assert json.loads(run("pipeline", "--json", "history")) == {"runs": []}
    assert "Expected `float | null`" in subprocess.run(
        [sys.executable, "-m", "tmux_agent", "emit", "PROGRESS", "percent=NaN"],
        env=world.sidecar.environ, capture_output=True, text=True,
    ).stderr  # fmt: skip
    dry = run("pipeline", "dry-run", "p", "--pane", "%0")
    assert "type: ls    done" in dry
    assert "denied by 'no netcat'" in dry
    world.person().call("pipeline.start", {"pipeline": "p", "pane_id": "%0"})
    world.until(peer, one="failed")
    assert "p  failed" in run("pipeline", "show", "p")
    assert "denied by rule 'no netcat'" in run("pipeline", "show", "p")
    assert "p" in run("pipeline", "history")
    person = world.person()
    person.call("pipeline.skip", {"run_id": world.runs(peer)[0]["run_id"], "stage": "one"})
    world.until(peer, two="approval")
    question = asked(world)
    assert (question["rule"], question["where"]) == ("require_approval", "its own file")
    assert "waits for your approval" in run("pipeline", "show", "p")
    assert "two: your approval" in run("pipeline", "list")


def test_the_second_example_of_the_seeds_waits_for_github(world: World) -> None:
    """A list of stages, as it stands there; `gh` starts the workflow, and its end is told by GitHub's stand-in."""
    github = Github()
    world.sidecar.program("gh", f"#!/bin/sh\necho \"gh $*\" >> '{world.sidecar.bin}/typed'\n")
    (world.sidecar.config / "pipelines" / "release.yaml").write_text("""
- name: "deploy"
  actions_on_start:
    - send_keys: "gh workflow run deploy.yml"
    - external_check:
        type: "github_action"
        repository: "user/repo"
        max_wait: 600
  success_when:
    - external_status: "success"
""")
    world.window("w")
    world.sidecar.start(GITHUB_API_URL=github.url, GITHUB_TOKEN=github.TOKEN)
    peer = world.attach()
    world.person().call("pipeline.start", {"pipeline": "release", "pane_id": "%0"})
    until(lambda: github.asked)
    assert world.typed() == ["gh workflow run deploy.yml"]
    assert world.states(peer) == {"deploy": "running"}
    github.begin("completed", "success")
    world.until(peer, deploy="success")
    github.close()
    assert github.TOKEN not in (world.sidecar.state / "audit.jsonl").read_text()
