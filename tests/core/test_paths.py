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


COPIES = ["server.key.bak", ".env~", "#.env#", ".#.env", ".server.key.swp", "id_rsa.old", "server.key.2026-01-02",
     "x.pem.gz", "server.key.orig", "server.key.1", "server (copy).key", "server.key (1)", "Copy of server.key",
     "server.key copy", "server.key.save", "server.key.tmp", "x.pem.bak.gz", "backup-server.key",
     "prod.tfvars.backup", ".npmrc.bak", "kubeconfig.bak", "deploy_key.txt", ".netrc~", "credentials.old",
     ".dev.vars.bak", "._server.key"]  # fmt: skip


@pytest.mark.parametrize("name", COPIES)
def test_copies_that_editors_and_people_keep(name: str) -> None:
    """A copy of a secret beside it is one, whatever stands in front or behind."""
    assert f"/p/{name}" in paths.Secrets(home="/h")
    assert paths.Secrets(home="/h").by_name(name)


@pytest.mark.parametrize(
    "name",
    ["my_id_rsa", "deploy_key", "github-deploy-key", "ssh_host_rsa_key", "work_ed25519", ".env_prod", ".env-prod",
     ".env2", "env.production", "env.local", ".dev.vars", "kubeconfig", "prod-kubeconfig.yaml", "staging.kubeconfig",
     "rclone.conf", ".yarnrc.yml", "db_password", "github-token", "sa-key.json", "krb5.keytab", "plan.tfplan",
     "wg0.conf", "privkey1", "openai_api_key", "secret-db.yaml", "secrets_prod.yml", "creds.json"],
)  # fmt: skip
def test_names_of_keys_and_settings(name: str) -> None:
    """What people call the files in which they keep keys, with words in front and behind."""
    assert f"/p/{name}" in paths.Secrets(home="/h")


@pytest.mark.parametrize(
    "name",
    ["secret_santa.py", "keyboard.py", "env.py", "tokenizer.go", "src/secrets.py", "docs/secret-management.md",
     "env.d.ts", "keys.ts", "monkey.json", "tokens.json", "src/private/impl.hpp", "environment.yml", "README.txt",
     "passwordReset.tsx", "secretary.txt", "turkey.json", "keymap.json", "env.sh", "a.bak", "app.py.orig",
     "tokenizer.go~", "key_test.go", ".env.example", "requirements.txt", "CHANGELOG.old", "authors.txt", "data.1",
     "public.pub", ".envrc.example", "hotkeys.json", "config.json", "wg.py", "dist/app.js", "backup-plan.md",
     "copy of plan.txt", "private.h", "src/token.rs", "docker-compose.yml"],
)  # fmt: skip
def test_names_of_sources_are_no_secrets(name: str) -> None:
    """Code and documents about secrets hold none."""
    assert f"/p/{name}" not in paths.Secrets(home="/h")


@pytest.mark.parametrize(
    ("path", "secret"),
    [
        ("private/data.json", True),
        ("a/secret/notes.txt", True),
        ("private/a/b.txt", True),
        ("src/private/impl.hpp", False),
        ("src/private.txt", False),
        ("", False),
    ],
)
def test_private_folders_beneath_a_root(path: str, secret: bool) -> None:
    """Folders between a file and its root say that it is private; those above the root (macOS: /private) do not."""
    secrets = paths.Secrets(home="/h")
    assert secrets.beneath(path) is secret
    assert f"/private/secret/{path.rpartition('/')[2]}" not in secrets


def test_an_exception_counts_for_a_copy() -> None:
    """Where a pattern says what a name is, it is not taken for the copy of something."""
    assert "/p/x.key.bak" not in paths.Secrets((*paths.SECRETS, "!**/x.key.bak"), "/h")


@given(
    st.lists(
        st.sampled_from([".ssh", "src", "secrets", "a.pem", ".env", "x.py", ".config", "gh", "private", "a.pem~"]),
        min_size=1,
    )
)
def test_names_alone_are_enough_where_near_says_no(parts: list[str]) -> None:
    """`near` and `by_name` together miss nothing that the whole path says: the quick way of walking a tree is safe."""
    secrets = paths.Secrets(home="/h")
    folder, path = "/" + "/".join(parts[:-1]), "/" + "/".join(parts)
    if not secrets.near(folder) and path in secrets:
        assert secrets.by_name(parts[-1])
