"""core/chat.py and chat_text.py: what is typed into a chat, what of it is run, and what a chat is shown."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.core import chat, chat_text
from tmux_agent.core.chat import (
    Answer,
    Create,
    Help,
    Interrupt,
    Kill,
    Output,
    Pending,
    Run,
    Said,
    Sessions,
    Status,
    Unclear,
    read,
)

ID = "4K9Q2B"


# Every line of reference seed e, then how people really write.
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Sel, run ls -la", Run("ls -la")),
        ("Sel, execute pwd", Run("pwd")),
        ("Sel, run cd /tmp && cat test.txt", Run("cd /tmp && cat test.txt")),
        ("Sel, show output", Output()),
        ("Sel, show output from dev", Output("dev")),
        ("Sel, create session dev", Create("dev")),
        ("Sel, new session build", Create("build")),
        ("Sel, run npm install in session dev", Run("npm install", "dev")),
        ("Sel, execute python script.py in session build wait 5000", Run("python script.py", "build", 5000)),
        ("Sel, list sessions", Sessions()),
        ("Sel, show sessions", Sessions()),
        ("Sel, kill session dev", Kill("dev")),
        ("Sel, close session build", Kill("build")),
        ('Sel, run find / -name "*.log" wait 5000 in session search', Run('find / -name "*.log"', "search", 5000)),
        ("Sel, run npm install wait 5000", Run("npm install", "", 5000)),
        ("Sel, kill session old-session", Kill("old-session")),
        ("Sel, run echo Testing tmux control", Run("echo Testing tmux control")),
        # case, punctuation, names, manners
        ("run ls", Run("ls")),
        ("RUN ls -LA", Run("ls -LA")),
        ("sel run ls", Run("ls")),
        ("@Sel: run ls", Run("ls")),
        ("hey Sel! please run ls", Run("ls")),
        ("Sel, could you please run ls", Run("ls")),
        ("<@12345> run ls", Run("ls")),
        ("Run: ls", Run("ls")),
        ("run\tls", Run("ls")),
        ("  run   ls  ", Run("ls")),
        ("List Sessions!", Sessions()),
        ("show me all the active sessions please", Sessions()),
        ("sessions?", Sessions()),
        ("Create a new session called dev.", Create("dev")),
        ("make session “dev”", Create("dev")),
        ("start session `dev`, please", Create("dev")),
        ("Close the session 'build'!", Kill("build")),
        ("please show me the output of session dev", Output("dev")),
        ("show the last 5 lines of output from dev", Output("dev", 5)),
        ("output from dev", Output("dev")),
        # both clauses in either order, with their words
        ("run make, wait 5s", Run("make", "", 5000)),
        ("run make wait 5s in session dev please", Run("make", "dev", 5000)),
        ("run make in the session dev, wait for 1.5 seconds.", Run("make", "dev", 1500)),
        ("run make in session “dev” and wait 2 min", Run("make", "dev", 120_000)),
        ("run make In Session dev WAIT 250ms", Run("make", "dev", 250)),
        ("in dev run ls", Run("ls", "dev")),
        ("Sel, in the “dev” session, please run ls -la wait 1m", Run("ls -la", "dev", 60_000)),
        ("run in session dev: ls", Run("ls", "dev")),
        ("run ls in the dev session", Run("ls", "dev")),
        ("wait 5s, then run ls in session dev", Run("ls", "dev", 5000)),
        ("on dev run ls", Run("ls", "dev")),
        ("run “echo hi” wait “5s”", Run("echo hi", "", 5000)),
        ("Sel… !run ls", Run("ls")),
        ("`run ls`", Run("ls")),
        ('Sel， "run ls -la"', Run("ls -la")),
        ("execute command: ls", Run("ls")),
        ("please run the ls command", Run("ls")),
        ("run `ls` command in session dev", Run("ls", "dev")),
        ("run ls in my tmux session called dev", Run("ls", "dev")),
        ("run ls using session=dev (wait 5 secs)", Run("ls", "dev", 5000)),
        ("run ls then wait up to ten seconds!", Run("ls", "", 10_000)),
        ("run ls wait: 5000", Run("ls", "", 5000)),
        ("run ls waiting a minute", Run("ls", "", 60_000)),
        ("run ls please", Run("ls")),
        ("run ls, please, in session dev", Run("ls", "dev")),
        ("run ls -la for me", Run("ls -la")),
        ("please, Sel, run ls", Run("ls")),
        ("Sel? Could you run ls?", Run("ls")),
        ("I'd like you to execute ls", Run("ls")),
        ("run the following command: ls -la", Run("ls -la")),
        ('run "ls -la"', Run("ls -la")),
        ("run “ls -la” in session dev", Run("ls -la", "dev")),
        ("\u200b\u00a0run\u00a0ls\u00a0", Run("ls")),
        # marks of code: what is between them, verbatim
        ("run `ls`, please, in dev and wait 5s", Run("ls", "dev", 5000)),
        ("run this in dev: `ls`", Run("ls", "dev")),
        ("in dev: run ``ls``", Run("ls", "dev")),
        ("run `cut -d, x` wait 5s", Run("cut -d, x", "", 5000)),
        ("run `make & wait 12`", Run("make & wait 12")),
        ("run `ls -la`", Run("ls -la")),
        ("run `echo wait 5000`", Run("echo wait 5000")),
        ("run `ls` in session dev wait 5s", Run("ls", "dev", 5000)),
        ("run in session dev: `ls`", Run("ls", "dev")),
        ("run the following command: ```\nmake\n```", Run("make")),
        ("run ```bash\ncd x\nmake test\n``` in session dev", Run("cd x\nmake test", "dev")),
        ("run ```\n  indented\n\n```", Run("  indented\n")),
        ("run ```ls```", Run("ls")),
        ("run```ls```", Run("ls")),
        ("run ```\na `b` c\n```", Run("a `b` c")),
        ("run cd x\r\nmake in session dev", Run("cd x\nmake", "dev")),
        # nothing of a command is forgiven
        ("run ls.", Run("ls.")),
        ("run echo “hi”", Run("echo “hi”")),
        ("run echo `date` in session dev", Run("echo `date`", "dev")),
        ("run echo 'a  b'", Run("echo 'a  b'")),
        ("run echo \\ ", Run("echo \\ ")),
        ("run echo \\\\ ", Run("echo \\\\")),
        ("run rn ls", Run("rn ls")),
        ("run wait", Run("wait")),
        ("run : x", Run(": x")),
        ('run echo "wait 5000"', Run('echo "wait 5000"')),
        ("run ls?", Run("ls?")),
        ("run '/opt/my tools/go' -x", Run("'/opt/my tools/go' -x")),
        ("run kubectl wait pod/x", Run("kubectl wait pod/x")),
        ("run echo please don't", Run("echo please don't")),
        # sessions, and what they print
        ("create sessions dev", Create("dev")),
        ("a new dev session please, Sel", Create("dev")),
        ("Make me a session named 'dev'!", Create("dev")),
        ("spawn session dev", Create("dev")),
        ("kill the dev session now", Kill("dev")),
        ("destroy session dev, thanks.", Kill("dev")),
        ("which sessions are there?", Sessions()),
        ("list running sessions, please", Sessions()),
        ("list session", Sessions()),
        ("show me a list of my sessions", Sessions()),
        ("show output session dev", Output("dev")),
        ("show me the logs of dev", Output("dev")),
        (f"approve request number {ID}", Answer(True, ID)),
        (f"what happened to {ID}?", Status(ID)),
        ("help run", Help()),
        ("show output please", Output()),
        ("show the output from the dev session", Output("dev")),
        ("what's the output of dev?", Output("dev")),
        ("give me dev's output", Output("dev")),
        ("show session dev", Output("dev")),
        ("show last 10 lines from dev", Output("dev", 10)),
        ("outputs of dev", Output("dev")),
        # requests
        ("any pending requests?", Pending()),
        ("is anything waiting for me?", Pending()),
        ("what needs approval?", Pending()),
        (f"what is the status of request {ID}?", Status(ID)),
        (f"show {ID} please", Status(ID)),
        (f"how is {ID} doing?", Status(ID)),
        (f"what came of {ID}?", Status(ID)),
        (f"approve: the request ({ID}), please", Answer(True, ID)),
        (f"I approve <{ID}>", Answer(True, ID)),
        (f"Approved {ID} 2 please.", Answer(True, ID, "2")),
        (f"decline {ID}: not now, thanks.", Answer(False, ID, "not now, thanks.")),
        (f"cancel the command {ID}", Interrupt(ID)),
        ("help please", Help()),
        ("what can I say here?", Help()),
        ("pending", Pending()),
        ("Pending?", Pending()),
        ("show pending requests", Pending()),
        ("what's waiting?", Pending()),
        ("status", Status()),
        (f"status of {ID.lower()}", Status(ID)),
        (f"Status #{ID}?", Status(ID)),
        (f"approve {ID}", Answer(True, ID)),
        (f"Approve `{ID.lower()}`!", Answer(True, ID)),
        (f"approve {ID} 2", Answer(True, ID, "2")),
        (f"allow request {ID}, on staging only", Answer(True, ID, "on staging only")),
        (f"deny {ID}", Answer(False, ID)),
        (f"reject {ID}: not before   the release", Answer(False, ID, "not before the release")),
        (f"interrupt {ID}", Interrupt(ID)),
        ("help", Help()),
        ("?", Help()),
        ("Sel, what can you do?", Help()),
    ],
)
def test_how_people_say_it(line: str, said: Said) -> None:
    """Forgiving in our own words, and never in what is run."""
    assert read(line, "Sel") == said


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "nothing was asked"),
        ("Sel", "nothing was asked"),
        ("run", "run what?"),
        ("run in session dev", "run what?"),
        ("run ``````", "run what?"),
        ("rnu ls", "did you mean: run ls"),
        ("lst sessions", "did you mean: list sessions"),
        ("aprove 4K9Q2B", "did you mean: approve 4K9Q2B"),
        ("creat session dev", "did you mean: create session dev"),
        ("list sesions", "list sessions"),
        ("kill dev", "kill session NAME"),
        ("create session", "which session?"),
        ("create session a/b", "a/b is no name of a session"),
        ("create session dev; rm -rf /", "is no name of a session"),
        ("run ls in session dev/x", "dev/x is no name of a session"),
        ('run echo "x in session dev"', "put the command between backticks"),
        ("run ls in dev", "say in session dev"),
        ("run ls in a new session", "which session?"),
        ("run ls in session dev and show the output", "at the end of a line"),
        ("run ls in session dev in session build", "two sessions"),
        ("in dev run `ls` in session build", "beside a command"),
        ("run ls wait 5 wait 6", "two waits"),
        ("run ls wait half a minute", "wait 5s, wait 2 min"),
        ("run ls wait 1,5s", "wait 5s, wait 2 min"),
        ("run ls wait 5s and show the output", "at the end of a line"),
        ("run ls with a timeout of 5s", "wait 5s, wait 2 min"),
        ("run make & wait 1234", "between backticks"),
        ("run make && wait 5s", "between backticks"),
        ("run cut -f1 -d, wait 5s", "between backticks"),
        ("run './build all'", "in quotes"),
        ("run `ls` and tell me what you think", "beside a command"),
        ("run `ls` and `pwd`", "one at a time"),
        ("run ```ls", "has no end"),
        ("run this ```ls``` or that", "beside a command"),
        ("stop session dev", "interrupt ID ends a command, kill session NAME"),
        ("kill sessions dev and build", "one session at a time"),
        ("kill all sessions", "which session?"),
        ("approve 4K9Q2B and 5K9Q2C", "one request at a time"),
        ("how do I approve?", "approve ID"),
        ("run ls wait 99h", "an hour at the most"),
        ("run ls wait 99999999999999999999999999999", "an hour at the most"),
        ("run ```a``` and ```b```", "one at a time"),
        ("approve", "approve ID"),
        ("approve all", "approve ID"),
        ("yes", "approve ID"),
        ("> approve 4K9Q2B", "approve ID"),
        ('"approve 4K9Q2B"', "did you mean"),
        ("!approve 4K9Q2B", "approve ID"),
        ("run ls in sessions dev and build", "at the end of a line"),
        ("ok 4K9Q2B", "approve ID"),
        ("nah", "say help"),
        ("what is the weather", "say help"),
        ("x" * 20_000, "over 16000"),
        ("deny 4K9Q2B " + "x" * 3000, "too long"),
    ],
)
def test_what_is_not_understood(line: str, why: str) -> None:
    """One clear sentence, at most one suggestion; nothing is done."""
    said = read(line, "Sel")
    assert isinstance(said, Unclear)
    assert why in said.why


@given(st.text(max_size=400), st.sampled_from(["", "Sel", "a.b*("]))
def test_nothing_that_is_typed_breaks_it(line: str, name: str) -> None:
    assert isinstance(read(line, name), Said)
    assert isinstance(read(f"run {line}", name), Said)


@given(st.text(min_size=1, max_size=300))
def test_between_marks_a_command_is_verbatim(command: str) -> None:
    """Whatever it is: nothing is trimmed, mended or read as ours."""
    kept = command.replace("\r\n", "\n")
    if "```" in kept or kept.startswith("`") or kept.endswith(("`", "\n", "\r")) or not kept.strip():
        return
    assert read(f"run ```\n{command}\n``` in session dev wait 5s") == Run(kept, "dev", 5000)


@given(st.from_regex(r"[a-z./-]{1,12}( [ -~]{1,20}){0,4}", fullmatch=True))
def test_without_marks_too_but_for_what_is_ours_at_its_end(command: str) -> None:
    """What is left of a line is a beginning of what was typed, and what was taken from it is a clause of ours."""
    said = read(f"run {command}")
    if isinstance(said, Run) and "`" not in command:
        assert command.strip().startswith(said.command.strip())
        taken = command.strip()[len(said.command.strip()) :]
        ours = r"\s*,?\s*\(?(in|on|using|via|wait|and\s|then\s|pl|th|for\s)"
        assert not taken or re.match(ours, taken, re.IGNORECASE), (command, said)


@pytest.mark.parametrize("piece", [" ", "run ", "in session ", "wait 5 ", "```", "`", "a ", "please ", "\n", "show "])
def test_long_lines_take_no_time(piece: str) -> None:
    line = (piece * chat.LONGEST)[: chat.LONGEST - 8]
    began = time.process_time()
    for text in (line, f"run {line}", f"show {line}", f"run x{line}\0", f"approve {line}"):
        read(text, "Sel")
    assert time.process_time() - began < 2


# --- what a chat is shown ---


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("hello @everyone", "hello ⟨@⟩everyone"),
        ("<@&123> <!channel> <#1>", "⟨<⟩⟨@⟩&123> ⟨<⟩!channel> ⟨<⟩#1>"),
        ("me@example.org", "me@example.org"),
        ("me@Everyone a@HERE", "me⟨@⟩Everyone a⟨@⟩HERE"),
        ("[approve](https://a.example)", "[approve⟨]⟩(https://a.example)"),
        ("<HTTPS://a.example|approve>", "⟨<⟩HTTPS://a.example|approve>"),
        ("a ``` b", "a ⟨U+0060⟩⟨U+0060⟩⟨U+0060⟩ b"),
        ("\x1b[31mred\x07", "⟨U+001B⟩[31mred⟨U+0007⟩"),
        ("a\u202eb", "a⟨U+202E⟩b"),
    ],
)
def test_a_chat_acts_on_nothing_that_it_is_shown(text: str, shown: str) -> None:
    assert chat_text.plain(text) == shown
    assert chat_text.block(text) == f"```\n{shown}\n```"


def test_an_output_is_bounded_and_redacted() -> None:
    """The last 30 lines, 1 500 characters of them, without secrets."""
    lines = chat_text.block("\n".join(f"line {at}" for at in range(100))).split("\n")
    assert lines[1:-1] == [f"line {at}" for at in range(70, 100)]
    assert len(chat_text.block("x" * 1_000_000)) < 1600
    assert "hunter2" not in chat_text.block("export DB_PASSWORD=hunter2\n")
    assert chat_text.block("\n \n") == ""


def test_what_is_answered_is_shown_whole_or_not() -> None:
    """Cut text is not what a yes is given to."""
    assert chat_text.whole("rm -rf build") == "```\nrm -rf build\n```"
    assert chat_text.whole("x" * 1600) is None
    assert chat_text.whole("x\n" * 40) is None
    assert chat_text.whole("\u202e" * 400) is None, "what has to be named may take too much room"


@given(st.text(max_size=300))
def test_no_text_leaves_its_block(text: str) -> None:
    shown = chat_text.block(text)
    assert shown == "" or (shown.startswith("```\n") and shown.endswith("\n```") and shown.count("```") == 2)
    assert "`" not in chat_text.plain(text)
