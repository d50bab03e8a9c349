"""What of a text lasts in the shell that runs it."""

from __future__ import annotations

import re

import pytest

from tmux_agent.core.shell_changes import changes

HARMLESS = {"LC_ALL": re.compile(r"[\w.]*"), "PATH": re.compile(r"/usr/bin(:/bin)*")}
SHELLS = ("bash", "dash", "zsh", "fish")

PASSES = [
    "ls", "make && echo ok || exit 3", "cd sub && ls", "for i in 1 2; do echo $i; done",
    "for f in *.py; do cat $f; done", "while read -r l; do echo $l; done < f", "export LC_ALL=C", "export foo=1",
    "PATH=/x make", "git show HEAD^", 'git commit -m "$(cat <<\'E\'\nhi\nE\n)"', "echo $(alias a=b)",
    "printf '%s' x", "conda install x", "command -v ls", "python3 -c 'import os'", "export PATH=/usr/bin",
    "read x", '[ -n "$x" ] && echo $HOME', "unset x", "f=1; cat $f",
]  # fmt: skip
LASTS = [
    "alias ls='rm x'", "f() { echo; }", "function f { :; }", "PATH=/x", "export PATH=/x:$PATH",
    ". venv/bin/activate", "source x", "eval x", "exec bash", "exec >f", "trap 'x' EXIT", "set -o vi",
    "shopt -s nullglob", "IFS=:", "IFS=$'\\n'", "\\alias a=b", "'al'ias a=b", "$x foo", "{al,}ias a=b",
    "command alias a=b", "builtin eval x", "! alias a=b", "if true; then alias a=b; fi", "{ alias a=b; }",
    "case x in a) alias a=b;; esac", "for PATH in a; do :; done", "echo ${PATH:=x}", "((PATH=1))",
    "echo $((PATH=1))", "printf -v PATH x", "printf '%s%n' x PATH", "printf $x PATH",
    "for ((PATH=0; PATH<1; PATH++)); do ls; done", "printf '-vPATH' x", "read -r PATH", "unset PATH", "unset -f f",
    "declare -n r=PATH", "readonly f=secret", "umask 000", "hash -p /x ls", "enable -f x y", "PROMPT_COMMAND=x",
    "PS1='$(x)'", "PROMPT_COMMAND+=x", "command_not_found_handle() { x; }", "BASH_ENV=x", "fc -s",
    "export LD_PRELOAD=x", "GIT_DIR=x", "export FOO=bar", "stty erase b", "coproc x", "nvm use 18",
    "conda activate x", "select PATH in a; do break; done", "mapfile PATH", "a[1]=2", "a=(1 2)",
    "true; alias a=b && false", "http_proxy=x", "let PATH=1", "typeset -f", "$(echo alias) a=b", "export $x",
    "jobs -x alias a=b", "echo 'an open quote", "wait -p A",
]  # fmt: skip
OF_ONE = {
    "dash": ["PATH=/x :", "PATH=/x export a"],
    "zsh": [
        "path=/x", "aliases[ls]=rm", "functions[ls]='rm x'", "precmd_functions=x", "repeat 3 alias a=b", "- alias a=b",
        "noglob alias a=b", "echo x | read PATH", "echo x | alias a=b", "print -z rm", "alias -g X=y", "cdpath=/",
        "prompt=x",
    ],
    "fish": [
        "function ls; rm x; end", "alias ls rm", "set -x PATH /x $PATH", "set PATH /x", "begin; alias a=b; end",
        "if true; alias a=b; end", "echo (alias a=b)", "abbr ls rm", "echo x | read PATH", "and alias a=b",
        "for PATH in x; end", "function a --on-event fish_prompt; end", "set fish_greeting x",
    ],
}  # fmt: skip
PASSES_IN_ONE = {
    "bash": ["(alias a=b)", "(. venv/bin/activate && pytest)", "alias a=b | cat", "alias a=b &", "set -euo pipefail"],
    "dash": ["(alias a=b)", "alias a=b | cat", "alias a=b &", "set -eu"],
    "zsh": ["(alias a=b)", "x=5; echo $x", "ls | head", "[[ a == b ]]", "set -e"],
    "fish": ["set x 5", "ls | head", "cd ..; ls"],
}


@pytest.mark.parametrize("shell", SHELLS)
def test_what_lasts_is_told_and_what_passes_is_not(shell: str) -> None:
    assert [text for text in PASSES if changes(text, shell, HARMLESS)] == []
    assert [text for text in PASSES_IN_ONE[shell] if changes(text, shell, HARMLESS)] == []
    assert [text for text in (*LASTS, *OF_ONE.get(shell, ())) if not changes(text, shell, HARMLESS)] == []


def test_it_is_told_in_words_that_fit_into_a_line() -> None:
    assert changes("ls; alias  a='x\ny'", "bash", {}) == "alias a='x y'"
    assert len(changes("alias a=" + "x" * 300, "bash", {})) == 80
