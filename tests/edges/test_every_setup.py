"""What holds for the set-up of every agent, also of the next one: what it adds can be taken out to the byte, again is
once, and a file that is not as it should be is left alone, with a word on what to do."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmux_agent import cli
from tmux_agent.edges import settings_file
from tmux_agent.edges.verbs.setup import SETUPS

EACH = pytest.mark.parametrize("agent", SETUPS)
FOLDERS = ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "GEMINI_CLI_HOME", "XDG_CONFIG_HOME")


def run(*words: str) -> int:
    return cli.main(["setup", *words])


def files(agent: str) -> list[Path]:
    """Every file that a set-up with everything may write, each once."""
    setup = SETUPS[agent]
    changes = [*setup.changes(os.environ, False), setup.mcp(os.environ, False)]
    return list(dict.fromkeys(change.file.path for change in changes))


def tree(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, and no agent on the PATH."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("HOME", folder)
        monkeypatch.setenv("PATH", "/nowhere")
        for name in FOLDERS:
            monkeypatch.delenv(name, raising=False)
        yield Path(folder)


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


_names = st.text("abcxyz äß/\\\"'.-", max_size=6)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | _names,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_names, inner, max_size=2),
    max_leaves=5,
)
_handlers = st.lists(st.fixed_dictionaries({"hooks": st.lists(st.fixed_dictionaries({"command": _names}), max_size=2)}))
_members = {
    "hooks": st.dictionaries(st.sampled_from(["PreToolUse", "Stop", "BeforeTool", "preToolUse", "Own"]), _handlers),
    "mcpServers": st.dictionaries(_names, _values, max_size=2),
    "mcp": st.dictionaries(_names, _values, max_size=2),
    "version": st.just(1),
}


@st.composite
def _texts(draw: st.DrawFn) -> bytes:
    """A settings file as a person or a program writes it: any indentation, line ends, order."""
    said = draw(st.fixed_dictionaries({}, optional=_members)) | draw(st.dictionaries(_names, _values, max_size=3))
    indent = draw(st.sampled_from([None, 0, 1, 2, 4, "\t", " \t"]))
    text = json.dumps(said, indent=indent, ensure_ascii=draw(st.booleans()), separators=draw(st.sampled_from([
        (",", ":"), (", ", ": "), (" ,", " : "),
    ])))  # fmt: skip
    text += draw(st.sampled_from(["", "\n", "\n\n", "  \n\t"]))
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"]))).encode()


TOMLS = [b"", b"\n", b'model = "x"', b'# mine\n[features]\nmulti = true\n\n[mcp_servers.a]\ncommand = "b"\n',
         b'model = "x"\r\n[mcp_servers.a]\r\ncommand = "b"\r\n']  # fmt: skip


@EACH
@settings(max_examples=40)
@given(data=st.data())
def test_every_byte_comes_back(home: Path, agent: str, data: st.DataObject) -> None:
    """Whatever the files held: set up twice is set up once, and taken out is as it was before, to the byte."""
    for path in [path for path in home.rglob("*") if path.is_file()]:
        path.unlink()
    for path in files(agent):
        if path.suffix == ".json" and data.draw(st.booleans()):
            put(path, data.draw(_texts()))
        if path.suffix == ".toml" and path.name == "config.toml" and data.draw(st.booleans()):
            put(path, data.draw(st.sampled_from(TOMLS)))
    before = tree(home)
    extra = ["--mcp"] if data.draw(st.booleans()) else []
    assert run(agent, "--yes", *extra) == 0
    once = tree(home)
    assert run(agent, "--yes", *extra) == 0
    assert tree(home) == once
    if extra and data.draw(st.booleans()):
        assert run(agent, "--yes", "--mcp", "--uninstall") == 0
    assert run(agent, "--yes", "--uninstall") == 0
    assert tree(home) == before
    assert run(agent, "--yes", "--uninstall") == 0
    assert tree(home) == before


def jsons(agent: str) -> list[Path]:
    return [path for path in files(agent) if path.suffix == ".json"]


COMMA, COMMENT = b'{"a": 1,}', b"// mine\n{}"
TAKES = {"gemini": (COMMENT,), "cursor": (COMMENT, COMMA), "opencode": (COMMENT, COMMA)}  # beyond JSON


@EACH
@pytest.mark.parametrize("content", [
    COMMA, COMMENT, b"[]", b'"text"', b'{"a": 1, "a": 2}', b"\xff\xfe{}", b"{", b"\xef\xbb\xbf{}",
], ids=["comma", "comment", "list", "text", "twice", "utf-16", "truncated", "BOM"])  # fmt: skip
def test_what_is_no_settings_file_is_left_alone(
    home: Path, agent: str, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says which file, why, and what to do; nothing is written over it, nor beside it."""
    for path in jsons(agent) if content not in TAKES.get(agent, ()) else ():
        put(path, content)
        assert run(agent, "--yes", "--mcp") == 1
        said = capsys.readouterr().err
        assert str(path) in said
        assert "mend it" in said
        assert path.read_bytes() == content
        assert not path.with_name(path.name + settings_file.SUFFIX).exists()
        path.unlink()


@pytest.mark.parametrize("agent", TAKES)
def test_comments_stay(home: Path, agent: str) -> None:
    """Where the agent takes them: set up beside them, each where it stood, and every byte comes back."""
    more = "," if COMMA in TAKES[agent] else ""
    text = (
        "// of mine\r\n{\n  /* colours, }\n   */\n"
        f'  "theme": "a // b", // dark\n  "list": [1, /* two */ 2{more}]{more} // last\n  // the end\n}}\n'
    )
    for path in jsons(agent):
        put(path, text.encode())
    before = tree(home)
    assert run(agent, "--yes", "--mcp") == 0
    once = tree(home)
    assert once != before
    assert run(agent, "--yes", "--mcp") == 0
    assert tree(home) == once
    for path in jsons(agent):
        held = path.read_bytes().decode()
        assert held.startswith('// of mine\r\n{\n  /* colours, }\n   */\n  "theme": "a // b", // dark\n')
        assert f"2{more}], // last\n" in held
        assert "tmux_agent" in held
        put(path, held.replace("// dark", "// darker").encode())
    assert run(agent, "--yes", "--uninstall") == 0
    assert {path.read_bytes() for path in jsons(agent)} == {text.replace("// dark", "// darker").encode()}
    for path in jsons(agent):
        put(path, text.encode())
    assert run(agent, "--yes", "--mcp") == 0
    assert run(agent, "--yes", "--uninstall") == 0
    assert {name: tree(home)[name] for name in before} == before


def test_opencodes_commented_settings_are_its_own(home: Path) -> None:
    """Where opencode.jsonc is all there is, no opencode.json is put beside it."""
    folder = home / ".config" / "opencode"
    put(folder / "opencode.jsonc", b"{\n  // mine\n}\n")
    before = tree(home)
    assert run("opencode", "--yes", "--mcp") == 0
    assert not (folder / "opencode.json").exists()
    assert "// mine\n" in (folder / "opencode.jsonc").read_text()
    assert "tmux-agent" in (folder / "opencode.jsonc").read_text()
    assert run("opencode", "--yes", "--uninstall") == 0
    assert tree(home) == before


@EACH
def test_links_stay_links(home: Path, agent: str) -> None:
    """Where settings lie among dotfiles the link stays, the file behind it changes and keeps its mode."""
    for number, path in enumerate(jsons(agent)):
        target = home / "dotfiles" / f"{number}.json"
        put(target, b'{"mine": 1}\n')
        target.chmod(0o640)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
    before = tree(home)
    assert run(agent, "--yes", "--mcp") == 0
    for path in jsons(agent):
        assert path.is_symlink()
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert json.loads(path.read_text())["mine"] == 1
        assert path.read_bytes() != b'{"mine": 1}\n'
    assert run(agent, "--yes", "--uninstall") == 0
    assert tree(home) == before


@EACH
def test_links_that_lead_nowhere(home: Path, agent: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One whose file is not there yet gets it; one that leads to itself or to a folder is left alone and told of."""
    for path in jsons(agent):
        for target in (path, home / "folder"):
            path.parent.mkdir(parents=True, exist_ok=True)
            (home / "folder").mkdir(exist_ok=True)
            path.symlink_to(target)
            assert run(agent, "--yes", "--mcp") == 1
            assert f"{path} cannot be read" in capsys.readouterr().err.replace(str(home / "folder"), str(path))
            assert path.is_symlink()
            path.unlink()
    target = home / "dotfiles" / "made.json"
    path = jsons(agent)[-1]
    path.unlink(missing_ok=True)  # set up meanwhile, where the next one could not be read
    path.symlink_to(target)
    assert run(agent, "--yes", "--mcp") == 0
    assert path.is_symlink()
    assert target.exists()
    assert run(agent, "--yes", "--uninstall") == 0
    assert not target.exists()


@EACH
def test_read_only_is_respected(home: Path, agent: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What its owner may not write is not replaced behind their back."""
    for path in jsons(agent):
        put(path, b"{}")
        path.chmod(0o444)
        assert run(agent, "--yes", "--mcp") == 1
        assert "read-only" in capsys.readouterr().err
        assert path.read_bytes() == b"{}"
        path.chmod(0o644)
        path.unlink()


@EACH
def test_who_edits_meanwhile_is_not_overwritten(
    home: Path, agent: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each file is looked at again just before it is written."""
    for path in files(agent):
        put(path, b"{}" if path.suffix == ".json" else b"")
    asked: list[str] = []

    def yes(question: str) -> str:
        asked.append(question)
        for path in files(agent):
            put(path, b'{"theirs": 1}' if path.suffix == ".json" else b"# theirs\n")
        return "y"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", yes)
    assert run(agent) == 1
    assert "changed meanwhile" in capsys.readouterr().err
    assert len(asked) == 1
    assert all(b"theirs" in path.read_bytes() for path in files(agent))


@EACH
def test_what_was_edited_since_stays(home: Path, agent: str) -> None:
    """The person's own changes after the set-up survive the uninstall; only ours goes."""
    for path in jsons(agent):
        put(path, b'{\n  "mine": 1\n}\n')
    run(agent, "--yes", "--mcp")
    for path in jsons(agent):
        path.write_text(path.read_text().replace('"mine": 1', '"mine": 2'))
    assert run(agent, "--yes", "--uninstall") == 0
    assert {path.read_text() for path in jsons(agent)} <= {'{\n  "mine": 2\n}\n'}
    assert not [path for path in tree(home) if path.endswith(settings_file.SUFFIX)]


@EACH
def test_dry_run_writes_nothing(home: Path, agent: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The difference is shown and that is all."""
    assert run(agent, "--dry-run", "--mcp") == 0
    assert tree(home) == {}
    said = capsys.readouterr().out
    assert "+" in said
    assert "tmux-agent" in said


def agents_on_path(monkeypatch: pytest.MonkeyPatch, home: Path, *programs: str) -> None:
    for name in programs:
        put(home / "bin" / name, b"#!/bin/sh\nexit 1\n")
        (home / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(home / "bin"))


def test_all_are_those_that_are_found(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each that is installed is shown and asked about in turn; one that cannot be used keeps no other back."""
    assert run("all", "--yes") == 1
    assert "not on your PATH: claude, codex, gemini, opencode, cursor-agent" in capsys.readouterr().err
    agents_on_path(monkeypatch, home, "claude", "gemini", "cursor")
    put(home / ".gemini" / "settings.json", b"{")
    asked: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or ("y" if len(asked) > 1 else "n"))  # type: ignore[func-returns-value]
    assert run("all") == 1
    said = capsys.readouterr()
    assert [line for line in said.out.splitlines() if line.startswith(("Claude", "Gemini", "Cursor"))] == [
        f"Claude Code: {home}/bin/claude", f"Gemini CLI: {home}/bin/gemini", f"Cursor: {home}/bin/cursor",
    ]  # fmt: skip
    assert "Gemini CLI: " in said.err
    assert len(asked) == 2
    assert not (home / ".claude").exists()
    assert (home / ".cursor" / "hooks.json").exists()


def test_all_is_taken_out_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once more is once, and everything goes, also of agents that are gone meanwhile."""
    agents_on_path(monkeypatch, home, "claude", "gemini", "opencode", "cursor-agent")
    put(home / ".claude.json", b'{"projects": {}}')
    before = tree(home)
    assert run("all", "--yes", "--mcp") == 0
    once = tree(home)
    assert len(once) > len(before) + 6
    assert run("all", "--yes", "--mcp") == 0
    assert tree(home) == once
    monkeypatch.setenv("PATH", "/nowhere")
    assert run("all", "--yes", "--uninstall") == 0
    assert tree(home) == before


@EACH
def test_the_bridge_is_found_where_it_is_told(home: Path, agent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry names a whole path: agents may have another PATH."""
    agents_on_path(monkeypatch, home, "tmux-agent")
    assert run(agent, "--yes", "--mcp") == 0
    text = SETUPS[agent].mcp(os.environ, False).file.text
    assert text is not None
    assert f'"{home}/bin/tmux-agent"' in text
    assert '"mcp"' in text


def test_the_persons_own_server_in_toml_stays(home: Path) -> None:
    """Codex: a table of that name that we did not write is theirs."""
    own = b'[mcp_servers.tmux-agent]\ncommand = "mine"\n'
    put(home / ".codex" / "config.toml", own)
    assert run("codex", "--yes", "--mcp") == 0
    assert (home / ".codex" / "config.toml").read_bytes().count(b"mcp_servers") == 1
    assert run("codex", "--yes", "--uninstall") == 0
    assert (home / ".codex" / "config.toml").read_bytes() == own
