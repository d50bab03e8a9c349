"""core/argv: what argument lists mean, read closed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.core.argv import awk, find, git, jq, sed, sources, tmux, wrappers
from tmux_agent.core.argv.options import BadNotation, Fed, mentions, parse, specs

GREP = specs(["-r", "-n", "-I", "-A=number", "-NUM", "-e=pattern", "--include=include", "--color~text", "-U~number"])


def parsed(*words: str, stop: bool = False) -> object:
    found = parse(words, GREP, stop=stop)
    if isinstance(found, str):
        return found
    return [(spec.name, *values) for spec, values in found.options], list(found.operands)


@pytest.mark.parametrize(
    ("words", "options", "operands"),
    [
        (["-rnI", "x", "."], [("-r",), ("-n",), ("-I",)], ["x", "."]),
        (["-rnA5", "x"], [("-r",), ("-n",), ("-A", "5")], ["x"]),
        (["-A", "5", "x"], [("-A", "5")], ["x"]),
        (["--include=*.py", "x"], [("--include", "*.py")], ["x"]),
        (["--include", "*.py", "x"], [("--include", "*.py")], ["x"]),
        (["--color", "x"], [("--color",)], ["x"]),
        (["--color=always", "x"], [("--color", "always")], ["x"]),
        (["-5", "x"], [("-NUM", "5")], ["x"]),
        (["x", "--", "-r"], [], ["x", "-r"]),
        (["-", "x"], [], ["-", "x"]),
        (["-U3", "-U", "x"], [("-U", "3"), ("-U",)], ["x"]),
    ],
)
def test_options_are_read_as_getopt_does(words: list[str], options: object, operands: object) -> None:
    """Bundles, attached and separate values, numbers, `--` and a lone dash."""
    assert parsed(*words) == (options, operands)


@pytest.mark.parametrize(
    "words", [["-rx"], ["--incl=*.py"], ["--recursive"], ["-A"], ["-n=5"], ["x", "-z"], ["--color", "--x"]]
)
def test_what_is_not_listed_does_not_pass(words: list[str]) -> None:
    """Unknown letters in bundles, abbreviations, missing values: a sentence, never a guess."""
    assert isinstance(parsed(*words), str)


def test_stricter_rules_see_options_in_any_spelling() -> None:
    """--forc, --force=x and -vf may all mean force; behind -- they mean nothing."""
    for words in (["--force"], ["--forc"], ["--force=x"], ["-vf"], ["-f"]):
        assert mentions(words, ["--force", "-f"])
    assert not mentions(["--", "-f"], ["--force", "-f"])
    assert not mentions(["-v", "f"], ["-f"])


def test_bad_notation_is_said() -> None:
    """An option without a dash, and one without its kind."""
    for text in ("x", "-n=", "--"):
        with pytest.raises(BadNotation):
            specs([text])


@pytest.mark.parametrize(
    "script",
    [
        "1,80p",
        "s/a/b/g",
        "s|a|b|2p;/x/d",
        "/a/,/b/p",
        "$p",
        "5{p;q}",
        ":a;N;$!ba;s/\\n/,/g",
        "y/abc/xyz/",
        "1~2p",
        "/x/I,+3p",
        "a\\\nhello",
        "s/[^/]*$//",
        "\\,x,p",
        "/x/!{s/a/b/;p}",
        "#n\np",
        "=",
        "$!N;P;D",
    ],
)
def test_sed_scripts_that_print(script: str) -> None:
    """Everyday scripts are known to be harmless."""
    assert sed.why_not(script) == "" or "[" in script


@pytest.mark.parametrize(
    "script",
    [
        "w f",
        "1w f",
        "s/a/b/w f",
        "s/a/b/gw f",
        "s/a/b/e",
        "e touch M",
        "r /etc/passwd",
        "R x",
        "W f",
        "$!{w f\n}",
        "/x/w f",
        "p;w f",
        "{w f\n}",
        "s/a/b",
        "}",
        "{p",
        "1,w f",
        "v;w f",
        "s\na\nb\nw f",
        ":a b;w f",
        "a\\\nx\nw f",
        "y/a/b/w f",
        "l 5;w f",
        "\\",
    ],
)
def test_sed_scripts_that_do_more(script: str) -> None:
    """Writing, running and reading commands, however they are reached; and whatever does not end."""
    assert sed.why_not(script)


@pytest.mark.parametrize(
    "program",
    [
        "{print $1}",
        "NR>=10 && NR<=20",
        "/a|b/",
        "$3 > 5",
        "{s+=$1} END {print s/NR}",
        "!seen[$0]++",
        '{print $1 > "/dev/stderr"}',
        "{if ($1 > 2) print; else print 1}",
        "{print ($1 > 2)}",
        'BEGIN{FS=","} {printf "%s\\n", $1}',
        "{a[$1]=a[$1]/2}",
        "/x/{n++} END{print n}",
    ],
)
def test_awk_programs_that_print(program: str) -> None:
    """Comparison is no redirection, a bar in a pattern no pipe, division no pattern."""
    assert awk.why_not(program) == ""


@pytest.mark.parametrize(
    "program",
    [
        '{print > "M"}',
        '{print >> "M"}',
        '{print | "sh"}',
        'BEGIN{system("x")}',
        '"x" | getline',
        '{print $1,\n$2 > "M"}',
        '@include "x"',
        'BEGIN{print ENVIRON["X"]}',
        'BEGIN{ARGV[1]="x"}',
        '{printf("%s", $1) > "M"}',
        '{print a /b > "M"/',
        'BEGIN{if (1) /"/; print > "M"; /"/}',
        '{print ($1) ($2) > "M"}',
        '{getline < "x"}',
        'BEGIN{print 1 |& "x"}',
        '{x = length / "/; print > "M"; "/}',
        "'",
        'BEGIN{print 1 ? "a" :\n"b" > "f"}',
        'BEGIN{print 1 ?\n"a" : "b" > "f"}',
    ],
)
def test_awk_programs_that_do_more(program: str) -> None:
    """Redirection, pipes, running, reading files and the environment, and slashes that can be read in two ways."""
    assert awk.why_not(program)


def test_jq_filters() -> None:
    """Fields named env are fields; the environment is not, also inside a string."""
    for good in (".a.env", ".env | .x", "{env: 1}", '.[] | "\\(.a)"', '"env"'):
        assert jq.why_not(good) == ""
    for bad in ("env", "$ENV.X", '"\\(env)"', 'include "x";', ".a | env", '"\\("\\(env)")"'):
        assert jq.why_not(bad)


def test_yq_reads_other_files_under_many_names() -> None:
    """load, with the format in front or behind, in any case; not a field of that name."""
    for word in ("load", "strload", "str_load", "loadstr", "xml_load", ".a |= LOAD", "ENV"):
        assert jq.why_not(f'{word}("x")'), word
    for good in (".load", "{load: 1}", ".a | .strload", '"load"', ".payload", "{payload}", "input_filename"):
        assert jq.why_not(good) == "", good


def test_find_says_which_names_it_lists() -> None:
    """A name test limits what is listed only where it stands in front of the action and in every alternative."""
    assert find.read([".", "-name", "*.py"]).names == ("*.py",)
    assert find.read([".", "(", "-name", "a", "-o", "-name", "b", ")", "-print0"]).names == ("a", "b")
    assert find.read([".", "-path", "x", "-prune", "-o", "-name", "a", "-print"]).names == ("a",)
    for open_ended in (
        ["-name", "a", "-o", "-type", "f"],
        ["!", "-name", "a"],
        ["-print", "-name", "a"],
        ["(", "-name", "a", "-o", "-type", "f", ")"],
        ["-print0", "(", "-name", "a", ")"],
    ):
        assert find.read([".", *open_ended]).names is None
    for bad in (
        ["-delete"],
        ["-fprint", "x"],
        ["-ok", "rm", ";"],
        ["-execdir", "x", ";"],
        ["-exec", "x"],
        ["-newthing"],
    ):
        assert find.read([".", *bad]).why


def test_git_in_front_of_the_sub_command() -> None:
    """-C moves, harmless settings are looked through, everything else is named."""
    assert git.read(["-C", "a", "--no-pager", "-c", "color.ui=always", "log", "-1"]) == git.Call(("a",), "log", ("-1",))
    for bad in (
        ["-c", "alias.s=!x", "s"],
        ["-c", "core.pager=x", "log"],
        ["--git-dir=x", "log"],
        ["--exec-path=x", "log"],
        ["-c", "core.fsmonitor=x", "status"],
        ["--config-env=a=b", "log"],
        ["-c", "pager.log=x", "log"],
        ["-p", "log"],
    ):
        assert git.read(bad).why


@pytest.mark.parametrize(
    "word", ["run", "run-shell", "run-s", "send", "send-k", "if", "popup", "neww", "pasteb", "set", "set-o", "source"]
)
def test_tmux_commands_by_any_prefix(word: str) -> None:
    """tmux takes aliases and every unambiguous prefix; so does the guard."""
    assert any(named.denied for named in tmux.read([word, "x", "y"]))


def test_tmux_chains_and_global_options() -> None:
    """A semicolon inside an argv begins another command; -C, -c and -f hand over commands themselves."""
    assert any(named.denied for named in tmux.read(["ls", ";", "run", "x"]))
    assert any(named.denied for named in tmux.read(["ls;", "run", "x"]))
    assert any(named.denied for named in tmux.read(["-L", "x", "-f", "cfg", "ls"]))
    assert any(named.denied for named in tmux.read(["-C", "attach"]))
    assert not any(named.denied for named in tmux.read(["new-session", "-d", "-s", "x"]))
    assert any(named.denied for named in tmux.read(["new-session", "-d", "-s", "x", "touch M"]))
    assert not any(named.denied for named in tmux.read(["display-message", "-p", "x"]))


@pytest.mark.parametrize(
    ("words", "inner", "plain"),
    [
        (["timeout", "-k", "1", "5", "ls", "-l"], ("ls", "-l"), True),
        (["nice", "-n", "5", "ls"], ("ls",), True),
        (["env", "A=1", "ls"], ("ls",), True),
        (["env", "-S", "touch M"], ("touch M",), False),
        (["env", "-u", "PATH", "ls"], ("ls",), False),
        (["sudo", "-u", "x", "A=1", "ls"], ("ls",), False),
        (["nohup", "ls"], ("ls",), False),
        (["xargs", "-0", "-n", "1", "cat"], ("cat",), True),
        (["/lib64/ld-linux-x86-64.so.2", "/usr/bin/touch", "M"], ("/usr/bin/touch", "M"), False),
    ],
)
def test_wrappers_show_what_is_inside(words: list[str], inner: tuple[str, ...], plain: bool) -> None:
    """The inner command, and whether the wrapper itself is worth a question."""
    peeled = wrappers.peel(words[0].rpartition("/")[2], words[1:])
    assert peeled is not None
    assert (peeled.argv, peeled.plain) == (inner, plain)


def test_xargs_puts_names_where_they_go() -> None:
    """At the end, or for -I in place of the mark; a word that only holds the mark is known in part."""
    names = Fed(("/w",))
    peeled = wrappers.peel("xargs", ["-I{}", "cp", "{}", "x/{}"])
    assert peeled is not None
    words = wrappers.feed(peeled, names)
    assert words[0] == "cp"
    assert isinstance(words[1], Fed)
    assert words[1].single
    assert isinstance(words[2], Fed)
    assert words[2].partial


@given(st.lists(st.text(max_size=8), max_size=6))
def test_nothing_makes_the_readers_raise(words: list[str]) -> None:
    """Any argument list has an answer."""
    find.read(words)
    git.read(words)
    tmux.read(words)
    for name in ("xargs", "env", "timeout", "bash", "sudo", "su", "watch"):
        wrappers.peel(name, words)
    for script in words:
        sed.why_not(script)
        awk.why_not(script)
        jq.why_not(script)


def test_xargs_says_whether_it_runs_without_names() -> None:
    """Where nothing comes in, xargs still runs its command once: a recursive reader then takes the whole folder."""
    for words, empty in ((["grep", "-r", "x"], True), (["-r", "grep"], False), (["-I{}", "cat", "{}"], False)):
        peeled = wrappers.peel("xargs", words)
        assert peeled is not None
        fed = [word for word in wrappers.feed(peeled, Fed(("/w",))) if isinstance(word, Fed)]
        assert [word.absent for word in fed] == [empty]


def test_lines_that_are_no_names() -> None:
    """What prints other lines than it got, standard input by another name, or names with other separators."""
    names = Fed(("/w",))
    for program, words in (
        ("cat", ["-E"]),
        ("tac", ["-s", "x"]),
        ("grep", ["-rl", "--label=.env", "x", "-"]),
        ("grep", ["-rl", "x", "-"]),
        ("rg", ["--files", "--path-separator=.", "src"]),
        ("fd", ["--path-separator", ".", "x"]),
    ):
        assert sources.printed(program, words, "/w", names)[0].unknown
    assert sources.printed("sort", ["-u"], "/w", names) == (names, False)
    assert not sources.printed("git", ["diff", "--name-only"], "/w", None)[0].committed
    assert sources.printed("git", ["diff", "--name-only", "HEAD~1"], "/w", None)[0].committed
    assert sources.printed("git", ["diff", "--name-only", "--cached"], "/w", None)[0].committed
