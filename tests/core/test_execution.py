"""What is typed into real shells, and marks found however the output is cut into pieces."""

from __future__ import annotations

import base64
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.core import execution

NONCE = "0123456789abcdef0123456789abcdef"
HERE = [shell for shell in execution.SHELLS if shutil.which(shell)]
TEXTS = st.text(st.characters(blacklist_categories=("Cs", "Cc")) | st.sampled_from("'\"\\\n\t !$`;&|#()"), min_size=1)


def run(shell: str, text: str, *, seen: bool = False) -> subprocess.CompletedProcess[bytes]:
    """The typed line, in a shell that reads it as it reads what is typed."""
    line = execution.line(text, shell, NONCE, seen=seen).replace(">/dev/tty ", "")  # it has no terminal
    return subprocess.run([shell], input=line.encode() + b"\n", capture_output=True, timeout=30)


def read(data: bytes, size: int = 1 << 20, limit: int = 1 << 20) -> execution.Reader:
    reader = execution.Reader(NONCE, limit)
    for at in range(0, len(data), size):
        reader.feed(data[at : at + size])
    return reader


def marked(printed: bytes, code: int = 0) -> bytes:
    begin, end = f"\x1b]7777;B;{NONCE}\x07", f"\x1b]7777;E;{NONCE};{code}\x07"
    return b"$ before" + begin.encode() + printed + end.encode() + b"$ after"


@pytest.mark.parametrize("shell", HERE)
@given(text=TEXTS)
def test_a_text_is_one_word_of_the_shell_whatever_is_in_it(shell: str, text: str) -> None:
    script = f"printf %s {execution.quoted(text, shell)}\n".encode()
    done = subprocess.run([shell], input=script, capture_output=True, timeout=30)
    assert done.stdout == text.encode(), done.stderr


@pytest.mark.parametrize("shell", HERE)
def test_long_and_many_lines_are_the_same_text(shell: str) -> None:
    text = "\n".join(f"{'x' * number}'\\" for number in (0, 799, 800, 801, 5000))
    assert all(len(line) < 4000 for line in execution.quoted(text, "dash").split("\n"))
    script = f"printf %s {execution.quoted(text, shell)}\n".encode()
    done = subprocess.run([shell], input=script, capture_output=True, timeout=30)
    assert done.stdout == text.encode()


@pytest.mark.parametrize("shell", HERE)
@pytest.mark.parametrize(
    ("text", "printed", "code"), [("echo a; false", b"a\n", 1), ("printf x", b"x", 0), ("(", b"", 2)]
)
def test_its_exit_code_is_told_also_after_an_error_of_syntax(shell: str, text: str, printed: bytes, code: int) -> None:
    reader = read(run(shell, text).stdout)
    assert reader.ended
    assert reader.output().text.encode() == printed
    assert reader.code == code or (text == "(" and reader.code in (1, 2, 123, 127))


@given(printed=st.binary(), size=st.integers(1, 40))
def test_what_is_between_the_marks_is_the_output_however_it_comes(printed: bytes, size: int) -> None:
    reader = read(marked(printed, 7), size)
    assert (reader.began, reader.ended, reader.code) == (True, True, 7)
    found = reader.output()
    text = base64.b64decode(found.text) if found.encoding == "base64" else found.text.encode()
    assert text == printed.replace(b"\r\n", b"\n")


def test_the_echo_of_the_line_is_no_mark() -> None:
    echo = execution.line("true", "bash", NONCE).encode()
    reader = read(echo + b"\r\n" + marked(b"out\r\n"))
    assert reader.output().text == "out\n"
    assert not read(echo).began


def test_of_very_much_the_beginning_and_the_end_are_kept_in_little_memory() -> None:
    reader = execution.Reader(NONCE, 1000)
    reader.feed(marked(b"")[: len(f"$ before\x1b]7777;B;{NONCE}\x07")])
    for number in range(100_000):
        reader.feed(f"{number}\r\n".encode())
    reader.feed(f"\x1b]7777;E;{NONCE};0\x07".encode())
    found = reader.output()
    assert found.truncated
    assert found.text.startswith("0\n1\n")
    assert found.text.endswith("99998\n99999\n")
    assert "bytes left out" in found.text
    assert len(found.text) < 1100


def test_a_mark_of_another_execution_is_output() -> None:
    other = f"\x1b]7777;E;{'f' * 32};0\x07"
    reader = read(marked(b"a" + other.encode() + b"b"))
    assert reader.output().text == f"a{other}b"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "nothing"), (" \n", "nothing"), ("a\x1b[201~b", "control character"), ("a\rb", "control character"),
        ("a\x03", "control character"), ("x" * (64 << 10) + "y", "bytes"), ("a\x9bb", "control character"),
        ("\ud800", "half a character"),
    ],
)  # fmt: skip
def test_what_would_press_keys_is_not_typed(text: str, why: str) -> None:
    assert why in execution.unfit(text)


def test_what_is_typed_holds_no_key_but_the_line_ends_of_dash() -> None:
    for shell in execution.SHELLS:
        line = execution.line("if true\n\tthen echo 'x'\nfi", shell, NONCE)
        assert not execution._CONTROL.search(line)
        assert ("\n" in line) == (shell == "dash")


@pytest.mark.parametrize(
    ("argv", "prompts"),
    [
        (("bash",), True), (("-zsh",), True), (("bash", "--norc", "-i"), True), (("bash", "x.sh"), False),
        (("bash", "-c", "read x"), False), (("sh", "-ec", "read x"), False), (("bash", "--rcfile", "x"), True),
        (("fish", "-C", "set x 1"), True), (("fish", "--no-config"), True), (("bash", "-o", "vi"), True),
    ],
)  # fmt: skip
def test_a_shell_that_runs_a_script_is_none_to_type_to(argv: tuple[str, ...], prompts: bool) -> None:
    assert execution.is_prompting(argv) is prompts


@pytest.mark.parametrize("shell", HERE)
def test_where_only_the_screen_can_be_had_its_marks_are_lines(shell: str) -> None:
    lines = run(shell, "echo one; printf two; false", seen=True).stdout.decode().splitlines()
    found = execution.seen(["$ echo", *lines, "$ "], NONCE, 1000)
    assert (found.ended, found.code) == (True, 1)
    assert (found.output.text, found.output.exact) == ("one\ntwo\n", False)


def test_what_has_scrolled_away_is_said_to_be_cut() -> None:
    found = execution.seen(["two", f"-- tmux-agent {NONCE[:12]} 3"], NONCE, 1000)
    assert (found.output.text, found.output.truncated, found.code) == ("two\n", True, 3)
