"""What `--help` and the documents tell people to type is what the command line takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
from tests.docs.render import DOCS

from tmux_agent import cli
from tmux_agent.edges.verbs import completion

PAGES = [DOCS.parent / "README.md", *sorted(path for path in DOCS.glob("*.md") if path.name != "changelog.md")]
CODE = re.compile(r"^```(?:sh|text)?\n(.*?)^```$|((?:^ {4,}\S.*\n)+)", re.MULTILINE | re.DOTALL)


def commands(text: str) -> Iterator[list[str]]:
    """The words of each call of tmux-agent in shell text, a call a line."""
    for line in text.splitlines():
        for typed in re.findall(
            r"(?:^|&& |\| |\$\()(?:\$ )?(tmux-agent (?:'[^']*'|\"[^\"]*\"|[^|&#)'\"])+)", line.strip()
        ):
            yield shlex.split(typed)[1:]


def parses(words: list[str]) -> None:
    """Raises SystemExit where it does not."""
    cli.build([words[0]]).parse_args(words)


def shown() -> list[tuple[str, list[str]]]:
    """(page, words of a command in a block of it)."""
    blocks = [(page.name, "".join(found)) for page in PAGES for found in CODE.findall(page.read_text())]
    return [(page, words) for page, text in blocks for words in commands(text)]


@pytest.mark.parametrize("verb", cli.VERBS)
def test_help_has_examples_that_the_verb_takes(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each of its examples is shown whole, and calls that verb."""
    examples = cli.VERBS[verb][2]
    calls = list(commands(examples))
    assert calls
    for words in calls:
        assert words[0] == verb
        parses(words)
    with pytest.raises(SystemExit) as ended:
        cli.build([verb]).parse_args([verb, "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert all(line in told for line in examples.splitlines())


def test_what_is_under_a_verb_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    """`VERB WHAT --help` of each, in the words of `VERB --help`."""
    told = 0
    for verb in cli.VERBS:
        for what in completion._under(completion._under(cli.build([verb]))[verb]):
            with pytest.raises(SystemExit):
                cli.build([verb]).parse_args([verb, what, "--help"])
            usage, about, *_ = capsys.readouterr().out.split("\n\n")
            assert usage.startswith("usage:")
            assert about.endswith("."), (verb, what)
            told += 1
    assert told > 20


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    """With what it does, in lines that fit a terminal."""
    with pytest.raises(SystemExit):
        cli.build([]).parse_args(["--help"])
    told = capsys.readouterr().out
    for verb, (_, about, _) in cli.VERBS.items():
        assert re.search(rf"^  {verb} +{re.escape(about)}$", told, re.MULTILINE), verb
    assert all(len(line) <= 80 for line in told.splitlines())


@pytest.mark.parametrize(("page", "words"), shown(), ids=str)
def test_commands_in_the_documents_are_taken(page: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Those in blocks of code."""
    parses(words)
    assert capsys.readouterr().err == "", page


def test_verbs_that_the_text_names_are_there() -> None:
    """`tmux-agent VERB WHAT` in a sentence, or in what the code says: its verb, and what is under it."""
    source = DOCS.parent / "sidecar" / "tmux_agent"
    for page in (*PAGES, *source.rglob("*.py")):
        for verb, what in re.findall(r"`tmux-agent ([a-z]+)(?: ([a-z-]+))?", page.read_text()):
            assert verb in cli.VERBS, (page.name, verb)
            under = completion.candidates(cli.build([verb]), [verb, ""])
            assert not what or not under or what in under, (page.name, verb, what)


def test_there_are_commands() -> None:
    """The blocks were found."""
    assert len(shown()) > 30
    with pytest.raises(SystemExit):
        parses(["pipeline", "unheard-of"])
