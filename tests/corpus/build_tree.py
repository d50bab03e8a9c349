"""Builds the folders that the corpus cases are about: a git worktree with secrets in it, and one without.

project/       what most cases run in      clean/         the same without secrets and without a way out
outside        a file next to them         project-evil/  a folder whose name begins like the project's
home/          the person's home folder
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

FILES = {
    "README.md": "# Shop\n\nA small shop. Costs $HOME, or foo.\n",
    "package.json": '{"name": "shop", "version": "1.2.3", "scripts": {"test": "jest", "build": "tsc"},'
    ' "dependencies": {"left-pad": "1.0.0"}}\n',
    "src/app.py": 'import os\n\nfrom src.db import load\n\n\ndef main():\n    """Runs foo."""\n    return load(1)\n',
    "src/db.py": "import json\n\n\nclass Store:\n    pass\n\n\ndef load(name):\n    return json.dumps(name)\n",
    "src/util/__init__.py": "",
    "src/util/text.py": "def upper(text):\n    return text.upper()\n",
    "src/util/io.py": "def read(path):\n    return open(path).read()\n",
    "tests/test_app.py": "from src.app import main\n\n\ndef test_main():\n    assert main()\n",
    "docs/guide.md": "# Guide\n\nTODO: write the guide. See foo@example.org.\n",
    "data.json": '{"items": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}], "a": {"b": 1}}\n',
    "log.txt": "".join(
        f"2026-01-0{day} {level} request {day}: foo\n" for day in range(1, 9) for level in ("info", "error")
    ),
    "Makefile": "# build\ntest:\n\tpytest\n",
    ".gitignore": ".env\nsecrets/\nbuild\nnode_modules\n",
}
SECRETS = {
    ".env": "API_KEY=not-a-real-key\n",
    "secrets/key.pem": "-----BEGIN PRIVATE KEY-----\nnot a key\n-----END PRIVATE KEY-----\n",
}
QUIET = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "GIT_TERMINAL_PROMPT": "0"}


def build(root: Path) -> None:
    """Makes everything below `root`, which must exist and be empty."""
    (root / "outside").write_text("outside\n")
    for folder, name in (("project-evil", "x"), ("home/.ssh", "id_rsa"), ("home/.aws", "credentials")):
        (root / folder).mkdir(parents=True)
        (root / folder / name).write_text("not yours\n")
    _worktree(root / "project", FILES | SECRETS)
    (root / "project" / "link_out").symlink_to("/etc")
    _worktree(root / "clean", FILES)


def variant(root: Path, name: str, setup: str) -> Path:
    """A copy of project/ beside its own outside files, changed by the shell text `setup`; its folder."""
    place = root / "variants" / name
    place.mkdir(parents=True)
    (place / "outside").write_text("outside\n")
    shutil.copytree(root / "project", place / "project", symlinks=True)
    _run(["bash", "-ec", setup], place / "project", HOME=str(root / "home"))
    return place / "project"


def _worktree(folder: Path, files: dict[str, str]) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    (folder / "link_in").symlink_to("src")
    _run(["git", "init", "-q", "-b", "main"], folder)
    for message, paths in (
        ("first: foo", ["README.md", ".gitignore", "package.json"]),
        ("source", ["src", "tests"]),
        ("data", ["data.json", "log.txt", "link_in"]),
        ("fix: docs", ["docs", "Makefile"]),
    ):
        _run(["git", "add", *paths], folder)
        _run(["git", "-c", "user.name=dev", "-c", "user.email=dev@example.org", "commit", "-q", "-m", message], folder)
    _run(["git", "tag", "v1"], folder)


def _run(argv: list[str], folder: Path, **extra: str) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    # A set-up may make git fail or run its own payload; what counts is the tree that it leaves.
    subprocess.run(argv, cwd=folder, env=clean | QUIET | extra, check=argv[0] == "git", capture_output=True)
