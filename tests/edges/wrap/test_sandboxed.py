"""`tmux-agent wrap --sandbox` as a process: what it refuses, git inside, what is swapped meanwhile, signals, network.
(What a hostile agent tries from inside: tests/attack.)"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.patience import PATIENCE
from tests.plugin.terminal import Terminal
from tests.sidecar import until

ROOT = Path(__file__).parents[3]
WRAP = [sys.executable, "-P", "-m", "tmux_agent", "wrap", "--plain", "--sandbox", "--"]


class Home:
    """A person's home with a repository and a worktree of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.repository, self.worktree, self.config = self.home / "repo", self.home / "work", folder / "config"
        self.environ = {
            "HOME": str(self.home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "sidecar"),
            "TMUX_AGENT_STATE_DIR": str(folder / "state"), "TMUX_AGENT_CONFIG_DIR": str(self.config),
            "TMUX_AGENT_SOCKET": str(folder / "nobody"), "LC_ALL": "C.UTF-8",
        }  # fmt: skip
        (self.home / ".ssh").mkdir(parents=True)
        (self.home / ".ssh" / "key").write_text("secret")
        (self.home / ".gitconfig").write_text("[user]\n name = ann\n email = ann@example.com\n")
        self.config.mkdir()
        self.git("init", "-q", "-b", "main", self.repository)
        self.git("-C", self.repository, "commit", "-q", "--allow-empty", "-m", "first")
        self.git("-C", self.repository, "worktree", "add", "-q", "-b", "work", self.worktree)

    def git(self, *words: str | Path) -> str:
        done = subprocess.run(["git", *words], env=self.environ, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def inside(self, script: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*WRAP, "sh", "-c", script], cwd=cwd or self.worktree, env={**self.environ, **environ},
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_the_exit_code_is_the_agents_and_the_home_is_empty(home: Home) -> None:
    done = home.inside("ls -A ~; cat ~/.ssh/key; exit 7")
    assert done.returncode == 7
    assert done.stdout.split() == [".gitconfig", "repo", "work"]
    assert home.inside("kill -KILL $$").returncode == 128 + signal.SIGKILL


def test_it_commits_and_nobody_outside_loses_a_branch(home: Home) -> None:
    done = home.inside(
        "set -e; echo x > file; git add file; git commit -qm inside; git checkout -qb other; git commit -q"
        " --allow-empty -m more; git checkout -q work; git rebase -q other; git cherry-pick --allow-empty other~1"
        " || git cherry-pick --skip; echo y >> file; git stash -q; git stash pop -q; git pack-refs --all || echo kept"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("kept\n")
    assert home.git("-C", home.repository, "log", "--format=%s", "work").splitlines() == ["more", "inside", "first"]
    assert home.git("-C", home.worktree, "status", "--short") == "M file"
    assert not list((home.folder / "state" / "wraps").iterdir())


def test_branches_that_are_packed_outside_stay_there_inside(home: Home) -> None:
    """git gc by somebody else takes the branch's own file away while the agent works on it."""
    script = "touch began; until [ -e packed ]; do sleep 0.02; done; git commit -q --allow-empty -m after"
    with subprocess.Popen([*WRAP, "sh", "-c", script], cwd=home.worktree, env=home.environ) as agent:
        until((home.worktree / "began").exists)
        home.git("-C", home.repository, "pack-refs", "--all")
        assert not (home.repository / ".git" / "refs" / "heads" / "work").exists()
        copies = (home.folder / "state" / "wraps").glob("*/packed-refs")
        copy = next(copies)
        until(lambda: "refs/heads/work" in copy.read_text())
        (home.worktree / "packed").touch()
        assert agent.wait(PATIENCE) == 0
    assert home.git("-C", home.repository, "log", "--format=%s", "work").splitlines() == ["after", "first"]


def test_what_is_left_in_gits_folder_hinders_nobody(home: Home) -> None:
    """Of what stands for git's common folder inside, nothing stays: also no folder that nobody can remove."""
    deep = f"import os; os.chdir({str(home.repository / '.git')!r})\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')"
    closed = home.repository / ".git" / "x"
    done = home.inside(f'{sys.executable} -c "{deep}" && mkdir {closed} && chmod 0 {closed}')
    left = list((home.folder / "state" / "wraps").iterdir())
    subprocess.run(["rm", "-rf", *left], check=True)  # else pytest could not remove it either
    assert done.returncode == 0, done.stderr
    assert not left
    assert not (home.repository / ".git" / "d").exists()
    assert home.inside("true").returncode == 0


def test_a_program_of_the_worktree_is_not_taken_for_bubblewrap(home: Home) -> None:
    """It runs outside. PATH may name where we are, or the worktree's node_modules/.bin."""
    for folder in (home.worktree, home.worktree / "bin"):
        folder.mkdir(exist_ok=True)
        (folder / "bwrap").write_text(f"#!/bin/sh\ntouch {home.home}/hostile\n")
        (folder / "bwrap").chmod(0o755)
    for first in (".", "", "bin", str(home.worktree), str(home.worktree / "bin")):
        done = home.inside("touch began", PATH=f"{first}:{home.environ['PATH']}")
        assert done.returncode == 0, done.stderr
        assert not (home.home / "hostile").exists(), first
    assert (home.worktree / "began").exists()


def test_open_files_of_whoever_started_it_are_not_handed_on_but_for_pipes(home: Home) -> None:
    folder, (end, write) = os.open(home.home, os.O_RDONLY), os.pipe()
    os.write(write, b"piped")
    os.close(write)
    script = f"cat /proc/self/fd/{end}; cat /proc/self/fd/{folder}/.ssh/key"
    words = [*WRAP, "sh", "-c", script]
    environ, keep = home.environ, (folder, end)
    done = subprocess.run(words, cwd=home.worktree, env=environ, pass_fds=keep, capture_output=True, check=False)
    assert done.stdout == b"piped", done.stderr
    for standard in ({"stdin": folder}, {"stdout": folder}, {"stderr": folder}):
        assert subprocess.run([*WRAP, "true"], cwd=home.worktree, env=environ, check=False, **standard).returncode != 0
    for one in keep:
        os.close(one)


def test_what_is_hidden_in_the_worktree_stays_so_whatever_is_renamed(home: Home) -> None:
    (home.worktree / "deploy" / "keys").mkdir(parents=True)
    (home.worktree / "deploy" / "keys" / "id").write_text("secret")
    (home.config / "config.yaml").write_text("sandbox: {hide: [~/work/deploy/keys/id], read_only: [~/work/data]}\n")
    done = home.inside("mv deploy elsewhere || mv deploy/keys elsewhere; cat deploy/keys/id; ln -s ../.ssh data")
    assert "secret" not in done.stdout
    assert "busy" in done.stderr
    assert (home.worktree / "deploy" / "keys" / "id").read_text() == "secret"
    done = home.inside("cat data/key")  # a setting's own path, which an agent has made a link
    assert "secret" not in done.stdout
    assert "name what it leads to" in done.stderr


def test_a_folder_of_sockets_is_not_worked_in(home: Home) -> None:
    """tmux's are in /tmp: whoever reaches them types into every pane."""
    for folder in (Path("/tmp"), Path("/var/tmp")):
        done = home.inside("touch began-in-a-folder-of-sockets", folder, HOME="/home/nobody")
        assert "is shared by many programs" in done.stderr
        assert not (folder / "began-in-a-folder-of-sockets").exists()
    elsewhere = home.home / "sockets"
    (elsewhere / f"tmux-{os.getuid()}").mkdir(parents=True)
    assert "no agent may reach" in home.inside("true", elsewhere, TMUX_TMPDIR=str(elsewhere)).stderr
    (home.config / "config.yaml").write_text("sandbox: {read_only: [~/sockets]}\n")
    (elsewhere / f"tmux-{os.getuid()}" / "default").touch()
    done = home.inside(f"ls -A ~/sockets ~/sockets/tmux-{os.getuid()}", TMUX_TMPDIR=str(elsewhere))
    assert "default" not in done.stdout


@pytest.mark.skipif(os.getuid() != 0, reason="nobody else may write these in any case")
def test_root_without_capabilities_cannot_change_the_machine_by_proc(home: Home) -> None:
    """A kernel setting is a file of root's, for which no capability is wanted; one names what runs at a core dump."""
    script = "for one in core_pattern hostname; do exec 3<>/proc/sys/kernel/$one && echo opened; done"
    assert "opened" not in home.inside(script).stdout


def test_a_main_checkout_is_edited_and_not_committed(home: Home) -> None:
    done = home.inside("echo x > file && git add file", home.repository)
    assert done.returncode != 0
    assert (home.repository / "file").read_text() == "x\n"
    assert home.inside("git status --short", home.repository).stdout == "?? file\n"


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        ("gitdir: {home}/.ssh\n", "cannot be read"),
        ("gitdir: {repo}/.git/worktrees/other\n", "is not git's folder for"),
        ("gitdir: {repo}/.git\n", "cannot be read"),
        ("gitdir: {work}/fake/worktrees/x\n", "or a link leads to it"),
        ("hostile", "is not as git writes it"),
        (None, "neither a folder nor a file"),
    ],
)
def test_a_worktree_whose_git_leads_elsewhere_is_refused(home: Home, lie: str | None, said: str) -> None:
    home.git("-C", home.repository, "worktree", "add", "-q", home.home / "other")
    fake = home.worktree / "fake" / "worktrees" / "x"
    fake.mkdir(parents=True)
    (fake / "gitdir").write_text(f"{home.worktree}/.git\n")
    (fake / "commondir").write_text("../..\n")
    (home.worktree / "fake" / "objects").symlink_to(home.home / ".ssh")  # what would be mounted, to be written
    (home.worktree / "fake" / "refs").mkdir()
    (home.worktree / ".git").unlink()
    if lie is None:
        (home.worktree / ".git").symlink_to(home.home / ".ssh")
    else:
        text = lie.format(home=home.home, repo=home.repository, work=home.worktree)
        (home.worktree / ".git").write_text(text)
    done = home.inside("touch began")
    assert done.returncode != 0
    assert said in done.stderr, done.stderr
    assert not (home.worktree / "began").exists()


def test_neither_the_home_nor_a_repository_itself_is_worked_in(home: Home) -> None:
    for folder, said in ((home.home, "is your home folder"), (home.repository / ".git", "repository's own folder")):
        done = home.inside("touch began", folder)
        assert done.returncode != 0
        assert said in done.stderr
        assert not (folder / "began").exists()


def bwrap(home: Home, text: str) -> str:
    """A PATH on which bubblewrap is first this."""
    program = home.folder / "bin" / "bwrap"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return f"{program.parent}:{home.environ['PATH']}"


@pytest.mark.parametrize("what", ["", ".git"])
def test_what_is_swapped_while_the_sandbox_is_made_is_noticed(home: Home, what: str) -> None:
    """The moment between our look and the mounts, made as long as it needs to be."""
    real, path = shutil.which("bwrap"), shlex.quote(str(home.worktree / what))
    swap = f"mv {path} {path}.before; ln -s {home.home}/.ssh {path}; exec {real} \"$@\""
    if what:
        swap = f"mv {path} {path}.before; echo gitdir: elsewhere > {path}; exec {real} \"$@\""
    done = home.inside("touch began; touch ~/.ssh/began", PATH=bwrap(home, swap))
    assert done.returncode != 0
    assert "no sandbox, so nothing was started" in done.stderr or "bwrap:" in done.stderr
    assert not (home.home / ".ssh" / "began").exists()
    assert not list(home.home.glob("work*/began"))


def test_without_bubblewrap_nothing_is_started(home: Home, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("sh", "git"):
        (tmp_path / "empty" / name).symlink_to(shutil.which(name) or "")
    done = home.inside("touch began", PATH=str(tmp_path / "empty"))
    assert "install the package bubblewrap" in done.stderr
    assert done.returncode != 0
    done = home.inside("touch began", PATH=bwrap(home, "echo 'bwrap: no permission' >&2; exit 1"))
    assert "no permission" in done.stderr
    assert "`tmux-agent doctor` says what is missing here" in done.stderr
    assert done.returncode == 1
    assert not (home.worktree / "began").exists()


def test_any_name_of_a_folder_will_do(home: Home) -> None:
    tree = home.home / "wörk 'of' \"mine\" \\ ☃"
    home.git("-C", home.repository, "worktree", "add", "-q", "-b", "named", tree)
    done = home.inside("pwd; echo x > file; git add file; git commit -qm inside", tree)
    assert done.stdout == f"{tree}\n", done.stderr
    assert home.git("-C", home.repository, "log", "-1", "--format=%s", "named") == "inside"
    gone = "mkdir gone; cd gone; rmdir ../gone; exec " + shlex.join([*WRAP, "true"])
    said = subprocess.run(["sh", "-c", gone], cwd=tree, env=home.environ, capture_output=True, text=True, check=False)
    assert "the folder that you are in is gone" in said.stderr


def test_the_network_is_there_or_is_not(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        heard = threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True)
        heard.start()
        script = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
        (home.config / "config.yaml").write_text("sandbox: {network: off}\n")
        assert "refused" in home.inside(f'{sys.executable} -c "{script}"').stderr
        (home.config / "config.yaml").write_text("sandbox: {network: on}\n")
        assert home.inside(f'{sys.executable} -c "{script}"').returncode == 0


def test_a_setting_that_cannot_be_read_starts_nothing(home: Home) -> None:
    (home.config / "config.yaml").write_text("sandbox: {netwerk: off}\n")
    done = home.inside("touch began")
    assert done.returncode != 0
    assert "netwerk" in done.stderr
    assert not (home.worktree / "began").exists()


def test_folders_of_the_settings(home: Home) -> None:
    for name in ("seen", "written"):
        (home.home / name).mkdir()
        (home.home / name / "file").write_text(name)
    (home.config / "config.yaml").write_text(
        "sandbox: {read_only: [~/seen], writable: [~/written], hide: [~/written/file]}\n"
    )
    done = home.inside("cat ~/seen/file; cat ~/written/file; echo x > ~/written/new; echo x > ~/seen/new")
    assert done.stdout == "seen"
    assert (home.home / "written" / "new").exists()
    assert not (home.home / "seen" / "new").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="another /etc is only root's to mount")
def test_names_of_hosts_are_found_where_etc_leads_elsewhere(home: Home) -> None:
    """systemd-resolved and WSL write resolv.conf somewhere else, and /etc has a link to it."""
    run = home.folder / "run"
    run.mkdir()
    (run / "stub.conf").write_text("nameserver 127.0.0.53\n")
    script = f"""
        set -e; mount -t tmpfs none {run}.etc; mkdir {run}.etc/up {run}.etc/work
        mount -t overlay none -o lowerdir=/etc,upperdir={run}.etc/up,workdir={run}.etc/work /etc
        ln -sf {run}/stub.conf /etc/resolv.conf
        exec {shlex.join([*WRAP, "sh", "-c", f"cat /etc/resolv.conf; ls {run}"])}"""
    (home.folder / "run.etc").mkdir()
    words = ["unshare", "-m", "sh", "-c", script]
    done = subprocess.run(words, cwd=home.worktree, env=home.environ, capture_output=True, text=True, check=False)
    assert done.stdout == "nameserver 127.0.0.53\nstub.conf\n", done.stderr


def test_credentials_that_are_renewed_inside_or_outside_are_so_in_both(home: Home) -> None:
    """Agents put a new file in the place of the old one (Codex), which a file that is mounted does not let them."""
    mine = home.home / ".codex" / "auth.json"
    mine.parent.mkdir()
    mine.write_text("first")
    (home.folder / "bin").mkdir()
    (home.folder / "bin" / "codex").write_text(
        """#!/bin/sh
        echo second > ~/.codex/new && mv ~/.codex/new ~/.codex/auth.json && touch began
        until grep -q third ~/.codex/auth.json; do sleep 0.02; done
        cd ~/.codex && ln -sf /etc/passwd auth.json && mkfifo x && mv x auth.json && rm auth.json
        echo last > auth.json
        """
    )
    (home.folder / "bin" / "codex").chmod(0o755)
    environ = {**home.environ, "PATH": f"{home.folder}/bin:{home.environ['PATH']}"}
    with subprocess.Popen([*WRAP, "codex"], cwd=home.worktree, env=environ) as agent:
        until(lambda: mine.read_text() == "second\n")
        (mine.parent / "new").write_text("third")
        (mine.parent / "new").rename(mine)
        assert agent.wait(PATIENCE) == 0
    assert mine.read_text() == "last\n"
    assert mine.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in mine.parent.iterdir()] == ["auth.json"]
    (home.config / "config.yaml").write_text("sandbox: {credentials: [claude]}\n")
    assert agent_says(home, environ, "cat ~/.codex/auth.json") == ""


def agent_says(home: Home, environ: dict[str, str], script: str) -> str:
    (home.folder / "bin" / "codex").write_text(f"#!/bin/sh\n{script}\n")
    done = subprocess.run([*WRAP, "codex"], cwd=home.worktree, env=environ, capture_output=True, text=True, check=False)
    return done.stdout


def test_a_terminals_keys_and_size_reach_the_agent_alone(home: Home) -> None:
    """Ctrl-C is the agent's: bubblewrap, which stands between, would end with it; sizes come as they change."""
    script = 'trap "echo heard" INT; trap "stty size" WINCH; echo ready; while :; do sleep 0.1; done'
    with Terminal([*WRAP, "bash", "-c", script], env=home.environ, cwd=home.worktree) as terminal:
        terminal.wait_for("ready")
        terminal.press("\x03")
        terminal.wait_for("heard")
        terminal.resize(77, 22)
        terminal.wait_for("22 77")


def test_when_the_wrapper_is_killed_nothing_inside_stays(home: Home) -> None:
    mark = f"{100_000 + os.getpid()}"
    script = f"(trap '' TERM HUP; setsid sleep {mark}) & touch began; wait"
    with subprocess.Popen([*WRAP, "sh", "-c", script], cwd=home.worktree, env=home.environ) as agent:
        until((home.worktree / "began").exists)
        agent.kill()

    def stays() -> bool:
        found = subprocess.run(["pgrep", "-f", f"^sleep {mark}$"], capture_output=True, check=False)
        return found.returncode == 0

    until(lambda: not stays())
