"""core/paths.py: patterns, whole components, secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.core import paths

names = st.text(alphabet="abc.-_* ", min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("**/*.pem", "/a/b/c.pem", True),
        ("**/*.pem", "/c.pem", True),
        ("*.pem", "/a/c.pem", True),
        ("**/.ssh/**", "/home/u/.ssh", True),
        ("**/.ssh/**", "/home/u/.ssh/a/b", True),
        ("**/.ssh/**", "/home/u/.sshx/a", False),
        ("~/.claude.json", "/home/u/.claude.json", True),
        ("~/.claude.json", "/home/v/.claude.json", False),
        ("/etc/*", "/etc/a/b", False),
        ("/etc/**", "/etc/a/b", True),
        ("**/.CURSOR/mcp.json", "/p/.cursor/mcp.json", True),
    ],
)
def test_patterns(pattern: str, path: str, fits: bool) -> None:
    """One star stays in its component, two go on; names are compared without regard to case."""
    assert paths.matches(path, [pattern], "/home/u") is fits


@given(st.lists(names, min_size=1, max_size=4), st.lists(names, max_size=3))
def test_inside_compares_whole_components(root: list[str], below: list[str]) -> None:
    """A folder holds itself and what is beneath, never one whose name only begins like it."""
    folder = "/" + "/".join(root)
    assert paths.inside("/".join([folder, *below]), [folder])
    assert not paths.inside(folder + "-evil", [folder])
    assert not paths.inside(folder + "x/" + "/".join(below), [folder])


@pytest.mark.parametrize(
    "path",
    ["/p/.env", "/p/.env.local", "/p/prod.env", "/p/a.pem", "/h/.ssh/config", "/h/.aws/credentials", "/p/id_ed25519",
     "/p/secrets/x", "/p/config/credentials.json", "/p/.npmrc", "/h/.config/gh/hosts.yml", "/p/terraform.tfstate",
     "/h/.bash_history", "/etc/shadow", "/p/.ENV"],
)  # fmt: skip
def test_secrets(path: str) -> None:
    """Names that hold secrets by custom."""
    assert path in paths.Secrets(home="/h")


@pytest.mark.parametrize(
    "path", ["/p/.env.example", "/p/src/secrets.py", "/p/environment.ts", "/p/id_rsa.pub", "/p/keys.md", "/p/a.txt",
             "/p/.venv/lib/site-packages/certifi/cacert.pem", "/p/tokenizer.json", "/p/package.json"]
)  # fmt: skip
def test_no_secrets(path: str) -> None:
    """Names that only look like it."""
    assert path not in paths.Secrets(home="/h")


@given(st.lists(st.sampled_from([".ssh", "src", "secrets", "a.pem", ".env", "x.py", ".config", "gh"]), min_size=1))
def test_names_alone_are_enough_where_near_says_no(parts: list[str]) -> None:
    """`near` and `by_name` together miss nothing that the whole path says: the quick way of walking a tree is safe."""
    secrets = paths.Secrets(home="/h")
    folder, path = "/" + "/".join(parts[:-1]), "/" + "/".join(parts)
    if not secrets.near(folder) and path in secrets:
        assert secrets.by_name(parts[-1])
