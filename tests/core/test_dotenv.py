"""core/dotenv.py: what is read of `.env` files, and that a shell reads the same where nothing is expanded."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.core import dotenv

FILE = """\
# the person's own
APPROVAL_SECRET=your-secure-secret-here
export GITHUB_TOKEN = ghp_x   # a comment
WEBHOOK=https://h/send?key=a#b
EMPTY=
EMPTY2=   # nothing
SINGLE='as $it is # yes'
DOUBLE="a \\"b\\" \\\\ \\$c\\n" # said
MANY="-----BEGIN
x
-----END"
LAST=one
LAST=two"""


def test_what_is_read() -> None:
    """Comments, export, both quotes, several lines, the last of two."""
    found, wrong = dotenv.parse(FILE)
    assert wrong == ()
    assert found == {
        "APPROVAL_SECRET": "your-secure-secret-here",
        "GITHUB_TOKEN": "ghp_x",
        "WEBHOOK": "https://h/send?key=a#b",
        "EMPTY": "",
        "EMPTY2": "",
        "SINGLE": "as $it is # yes",
        "DOUBLE": 'a "b" \\ $c\n',
        "MANY": "-----BEGIN\nx\n-----END",
        "LAST": "two",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A=1\nnot a line\nB=2", "line 2 is not NAME=value"),
        ("A=1\n2X=3\nB=2", "line 2 is not NAME=value"),
        ("A=1\nX='open\nB=2", "line 2 has a quote that is not closed (X)"),
        ('A=1\nX="a"b\nB=2', "line 2 goes on after the closing quote (X)"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_and_left_out(text: str, said: str) -> None:
    """The lines around it count; the sentence shows the name and never the value."""
    assert dotenv.parse(text) == ({"A": "1", "B": "2"}, (said,))


VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=40)


@given(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,9}", fullmatch=True), VALUES, max_size=5))
def test_every_value_can_be_written(values: dict[str, str]) -> None:
    """In single quotes as it is; in double quotes with the four escapes."""
    single = {name: value.replace("'", "") for name, value in values.items()}
    text = "".join(f"{name}='{value}'\n" for name, value in single.items())
    assert dotenv.parse(text) == (single, ())
    escaped = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in values.items()}
    assert dotenv.parse("".join(f'{name}="{value}"\n' for name, value in escaped.items())) == (values, ())


def test_a_shell_reads_the_same(tmp_path: Path) -> None:
    """`set -a; . file` of sh, for what needs no blanks around = and no \\n."""
    text = "A=b#c # d\nexport E='f $g'\nH=\"i \\$j \\\\ \\\"k\\\" \\`l\"\nM=\nN=o\\p\n".replace("\\p", "p")
    file = tmp_path / "env"
    file.write_text(text)
    program = f'set -a; . {file}; for n in A E H M N; do eval "printf \'%s\\\\0\' \\"\\${{$n}}\\""; done'
    said = subprocess.run(["sh", "-c", program], capture_output=True, text=True, check=True).stdout
    found, wrong = dotenv.parse(text)
    assert (wrong, list(found.values())) == ((), said.split("\0")[:-1])


def test_long_lines_take_linear_time() -> None:
    """A megabyte of blanks, quotes or backslashes is read at once."""
    for text in ("A=" + " " * 1_000_000 + "x", 'A="' + "\\" * 1_000_001, "A=b" + " #" * 500_000, "'" * 1_000_000):
        dotenv.parse(text)
