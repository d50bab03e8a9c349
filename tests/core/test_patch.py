"""Patches: what they do to which file, and nothing that two appliers would read in two ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.core import patch
from tmux_agent.core.model import File, Patch

CWD = "/home/u/shop"


def whole(*lines: str) -> str:
    return "\n".join(("*** Begin Patch", *lines, "*** End Patch")) + "\n"


def files(text: str) -> list[tuple[str, str]]:
    found = patch.read(text, CWD)
    return [(one.verb, one.path) for one in (found.changes if isinstance(found, Patch) else (found,))]


def test_a_new_file_is_written() -> None:
    """Its lines are its content, an absolute path stays absolute."""
    assert patch.read(whole("*** Add File: /etc/x", "+one", "+", "++two"), CWD) == File(
        verb="write", path="/etc/x", cwd=CWD, content="one\n\n+two\n", create_dirs=True
    )


def test_a_file_is_removed() -> None:
    """By its path alone."""
    assert patch.read(whole("*** Delete File: a b"), CWD) == File(verb="delete", path="a b", cwd=CWD)


def test_one_change_in_one_place_is_an_edit() -> None:
    """What stands there, kept lines included, and what will."""
    text = whole("*** Update File: a", "@@", " kept", "-old", "+new", "")
    assert patch.read(text, CWD) == File(
        verb="edit", path="a", cwd=CWD, old_text="kept\nold\n\n", new_text="kept\nnew\n\n"
    )


@pytest.mark.parametrize(
    "body",
    [
        ("@@", "-a", "+b", "@@", "-c", "+d"),
        ("@@ def f():", "-a", "+b"),
        ("@@", "-a", "+b", "*** End of File"),
        ("@@", "+only added"),
        ("-a", "@@", "+b"),
    ],
)
def test_what_an_edit_cannot_say_stays_a_patch(body: tuple[str, ...]) -> None:
    """Several places, a place named by what stands above it, the end of the file: the patch itself is what is shown."""
    text = whole("*** Update File: a", *body)
    assert patch.read(text, CWD) == Patch(text=text, changes=(File(verb="edit", path="a", cwd=CWD),), cwd=CWD)


def test_several_files_are_each_judged() -> None:
    """A move is a removal and a write."""
    text = whole(
        "*** Update File: a", "*** Move to: b", "@@", "-x", "+y", "*** Delete File: c", "*** Add File: d/e", "+f"
    )
    assert files(text) == [("delete", "a"), ("write", "b"), ("delete", "c"), ("write", "d/e")]


def test_the_same_patch_however_it_is_wrapped() -> None:
    """Carriage returns, blank lines around it, the here-document that a model writes."""
    plain = whole("*** Delete File: a")
    for text in (plain.replace("\n", "\r\n"), f"\n  {plain}\n\n", plain.rstrip("\n"), f"<<'EOF'\n{plain}EOF\n"):
        assert patch.read(text, CWD) == patch.read(plain, CWD)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*** Begin Patch\n*** End Patch\n",
        "*** Add File: a\n+b\n",
        "x\n" + whole("*** Delete File: a"),
        whole("*** Delete File: a") + "*** Add File: b\n+c\n",
        whole("+a"),
        whole("*** Environment ID: remote", "*** Delete File: a"),
        whole("*** Rename File: a"),
        whole("*** Add File: a", "b"),
        whole("*** Add File: a", "+b", " *** Delete File: c"),
        whole("*** Update File: a", "@@", " kept", " *** Delete File: c"),
        whole("*** Update File: a", "@@", "\t*** Add File: c", "+x"),
        whole("*** Update File: a", "@@", "-b", "+c", "*** End Patch", "*** Delete File: d"),
        whole("*** Update File: a", "@@", "b"),
        whole("*** Update File: a", "@@", "-b", "*** Move to: c"),
        whole("*** Delete File: a", "+b"),
        whole("*** Delete File: "),
        whole("*** Delete File: a "),
        whole("*** Delete File:  a"),
        whole("*** Delete File: a\0b"),
        whole(*["*** Delete File: a"] * 201),
        whole("*** Add File: a", "+" + "x" * (1 << 20)),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(text: str) -> None:
    """Header or text, this file or that: nothing is judged as other than what may be done."""
    with pytest.raises(ValueError, match=r"."):
        patch.read(text, CWD)


def test_no_home_folder_is_meant() -> None:
    """A tilde is a file's name to whoever applies a patch."""
    assert files(whole("*** Delete File: ~/.ssh/x")) == [("delete", "./~/.ssh/x")]


@pytest.mark.parametrize(
    ("text", "cwd"),
    [
        ("apply_patch <<'EOF'\n{}EOF\n", CWD),
        ('applypatch <<"X"\n{}X', CWD),
        ("apply_patch <<EOF\n{}EOF", CWD),
        ("cd sub && apply_patch <<'EOF'\n{}EOF\n", f"{CWD}/sub"),
        ("cd '/a b' && apply_patch <<'EOF'\n{}EOF\n", "/a b"),
    ],
)
def test_a_patch_typed_into_a_shell_is_a_patch(text: str, cwd: str) -> None:
    """As Codex takes it out of the shell's hands."""
    found = patch.typed(text.format(whole("*** Delete File: a")), CWD)
    assert found == File(verb="delete", path="a", cwd=cwd)


@pytest.mark.parametrize(
    "text",
    [
        "ls",
        "apply_patch x",
        "apply_patch <<'EOF'\n{}EOF\nrm -rf x",
        "x && apply_patch <<'EOF'\n{}EOF",
        "cd - && apply_patch <<'EOF'\n{}EOF",
        "apply_patch <<EOF\n*** Begin Patch\n*** Add File: a\n+$(id)\n*** End Patch\nEOF\n",
        "x" * (1 << 21),
    ],
)
def test_other_shell_text_stays_that(text: str) -> None:
    """The policy reads it as what it is."""
    assert patch.typed(text.format(whole("*** Delete File: a")), CWD) is None


_lines = st.lists(
    st.sampled_from(
        ["*** Add File: a", "*** Delete File: b", "*** Update File: c", "*** Move to: d", "@@", "@@ x", "+y", "-z",
         " k", "", "*** End of File", "*** End Patch", "*** Begin Patch", " *** Add File: e", "junk"]
    ),
    max_size=12,
)  # fmt: skip


@given(_lines)
def test_every_file_that_is_named_is_judged(lines: list[str]) -> None:
    """Read, or refused: no header is passed over."""
    text = whole(*lines)
    try:
        found = files(text)
    except ValueError:
        return
    named = {line.rpartition(": ")[2] for line in lines if line.startswith("*** ") and ": " in line}
    assert {path for _, path in found} == named
    assert not any(line.startswith(" ***") for line in lines)


@given(st.text(max_size=300))
def test_nothing_but_value_errors(text: str) -> None:
    """Whatever an agent writes."""
    for read in (lambda: patch.read(text, CWD), lambda: patch.typed(text, CWD)):
        try:
            read()
        except ValueError:
            continue
