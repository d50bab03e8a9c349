"""The plugin in real tmux servers: what loading binds, says, starts and refuses, and what unloading leaves."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.patience import PATIENCE
from tests.plugin.terminal import TMUX, Server, Terminal

from tmux_agent.services.tmux import badge, signals

PLUGIN = Path(__file__).resolve().parents[2]
SCRIPTS = PLUGIN / "scripts"
ENTRY = PLUGIN / "tmux-agent.tmux"

# Stands for tmux-agent: writes down how it was called, and tells tmux that it was (of `setup` not: two would be none).
FAKE = '#!/bin/sh\necho "$*" >>"$HOME/calls"\n[ ! -e "$HOME/broken" ] || { echo "no luck"; exit 1; }\n'
FAKE += '[ "$1" != setup ] || exit 0\n'

NAMES = ("popup", "next", "menu", "agent", "pending", "pipelines", "fleet", "spawn")


class World:
    """A home folder, a PATH whose tmux is the one under test, and a tmux server in it."""

    def __init__(self, home: Path, config: str = "") -> None:
        self.home = home
        self.bin = home / "bin with space"
        self.bin.mkdir()
        self.command = self.bin / "fake-agent"
        self.script("fake-agent", FAKE + f"{TMUX} wait-for -S called\n")
        if TMUX != "tmux":
            (self.bin / "tmux").symlink_to(TMUX)
        path = f"{self.bin}:{os.environ['PATH']}"
        self.env = {
            "HOME": str(home), "PATH": path, "XDG_STATE_HOME": str(home / "state"), "XDG_DATA_HOME": str(home / "data"),
            "XDG_CONFIG_HOME": str(home / "config"), "XDG_RUNTIME_DIR": str(home),
        }  # fmt: skip
        self.server = Server(f"set -g @tmux-agent-command '{self.command}'\n{config}", env=self.env)

    def script(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def load(self) -> None:
        self.server.run("run-shell", str(ENTRY))

    def called(self) -> list[str]:
        self.server.run("wait-for", "called")
        return (self.home / "calls").read_text().splitlines()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    with made.server:
        made.server.run("new-session", "-d", "-s", "main")
        yield made


def binding(server: Server, key: str = "A") -> str:
    return server.run("list-keys", "-T", "prefix", key, check=False)


def state(server: Server) -> tuple[str, ...]:
    return (
        server.run("list-keys"),
        server.run("show-hooks", "-g"),
        server.run("show-environment", "-gh"),
        server.run("list-sessions", "-F", "#{session_name}"),
    )


def test_loads_from_the_configuration(tmp_path: Path) -> None:
    """run-shell in tmux.conf binds the key and starts the sidecar for this server; session 0 stays number 0."""
    world = World(tmp_path, f"run-shell '{ENTRY}'\n")
    with world.server as server:
        server.run("new-session", "-d")
        assert signals.EVENTS in binding(server)
        assert world.called() == [f"sidecar start --tmux {server.socket} --renew"]
        assert server.run("list-sessions", "-F", "#{session_name}") == "0"


def test_sourcing_twice_is_once(world: World) -> None:
    """A second load changes nothing."""
    world.load()
    world.called()
    once = state(world.server)
    world.load()
    world.called()
    assert state(world.server) == once


def test_loading_waits_for_no_sidecar(world: World) -> None:
    """The entry returns while the sidecar has not started yet, however long that takes."""
    os.mkfifo(world.home / "go")
    world.script("fake-agent", f'#!/bin/sh\nread x <"$HOME/go"\nexec {TMUX} wait-for -S called\n')
    world.load()
    (world.home / "go").write_text("go\n")
    world.server.run("wait-for", "called")


def test_key_signals_with_the_client(world: World) -> None:
    """With a sidecar there, the key leaves its client's name and wakes the sidecar once until it is read."""
    world.load()
    world.called()
    server = world.server
    server.run("set-environment", "-gh", signals.ALIVE, "1")
    woken = f"read x; {TMUX} -S {server.socket} wait-for -S chan; cat"
    server.run("new-session", "-d", "-s", signals.SESSION, "sh", "-c", woken)
    terminal = server.attach("attach-session", "-t", "=main")
    terminal.press("\x02", "A")
    server.run("wait-for", "chan")
    terminal.press("\x02", "A")
    end = time.monotonic() + PATIENCE
    while len(said := list(signals.parse(server.run("show-environment", "-gh", signals.EVENTS)))) < 2:
        assert time.monotonic() < end
    assert said == [signals.Pressed("popup", terminal.tty)] * 2


def test_key_without_sidecar_says_so_and_starts_it(world: World) -> None:
    """Without a sidecar the key says that, and starts one, even if it was stopped on purpose."""
    world.load()
    world.called()
    stopped = world.home / "state/tmux-agent/stopped"
    stopped.touch()
    terminal = world.server.attach()
    terminal.press("\x02", "A")
    terminal.wait_for("the sidecar is not running; starting it")
    assert len(world.called()) == 2


def test_stopped_on_purpose_stays_stopped(world: World) -> None:
    """Neither loading nor a death starts a sidecar that a person has stopped."""
    (world.home / "state/tmux-agent").mkdir(parents=True)
    (world.home / "state/tmux-agent/stopped").touch()
    for reason in ("plugin", "died"):
        world.server.run("run-shell", f"'{SCRIPTS}/ensure_sidecar.sh' {reason}")
    assert not (world.home / "calls").exists()


def test_deaths_are_backed_off(world: World) -> None:
    """The first death is answered at once; each that follows soon waits longer, up to a bound."""
    world.script("sleep", '#!/bin/sh\necho "sleep $*" >>"$HOME/calls"\n')
    for _ in range(12):
        world.server.run("run-shell", f"'{SCRIPTS}/ensure_sidecar.sh' died")
    waits = [
        int(line.split()[1]) for line in (world.home / "calls").read_text().splitlines() if line.startswith("sleep")
    ]
    assert waits[:4] == [0, 1, 4, 9]
    assert max(waits) == 60


def test_failed_start_is_told(world: World) -> None:
    """A sidecar that does not start is said, with its words and where the log is, and in the badge."""
    (world.home / "broken").touch()
    terminal = world.server.attach(columns=200)
    world.server.run("run-shell", f"'{SCRIPTS}/ensure_sidecar.sh' key")
    screen = terminal.wait_for("the sidecar did not start: no luck")
    assert "state/tmux-agent/start.log" in screen
    assert "sidecar" in world.server.run("display-message", "-p", "#{tmux_agent}")


def test_occupied_key_is_refused(world: World) -> None:
    """A key that the person has bound stays theirs, and they are told."""
    world.server.run("bind-key", "A", "display-message", "mine")
    terminal = world.server.attach()
    world.load()
    terminal.wait_for("prefix + A is bound to something of yours")
    assert "mine" in binding(world.server)


def test_default_key_may_be_taken(world: World) -> None:
    """A key that only tmux itself has bound is taken where the person names it."""
    world.server.run("set-option", "-g", "@tmux-agent-key-popup", "i")
    world.load()
    assert signals.EVENTS in binding(world.server, "i")


def test_empty_key_disables_and_a_changed_key_moves(world: World) -> None:
    """Another key frees the former; an empty one binds none."""
    world.load()
    world.server.run("set-option", "-g", "@tmux-agent-key-popup", "C-a")
    world.load()
    assert signals.EVENTS in binding(world.server, "C-a")
    assert signals.EVENTS not in binding(world.server, "A")
    for name in NAMES:
        world.server.run("set-option", "-g", f"@tmux-agent-key-{name}", "")
    world.load()
    assert signals.EVENTS not in world.server.run("list-keys")


def test_every_key_is_an_option(world: World) -> None:
    """Each name has its key, and signals with that name; two keys may change places; one key is not given twice."""
    for number, name in enumerate(NAMES, 5):
        world.server.run("set-option", "-g", f"@tmux-agent-key-{name}", f"F{number}")
    world.load()
    for number, name in enumerate(NAMES, 5):
        assert f"press:{name}:#{{client_name}}" in binding(world.server, f"F{number}")
    assert signals.EVENTS not in binding(world.server, "A") + binding(world.server, "N") + binding(world.server, "G")
    world.server.run("set-option", "-g", "@tmux-agent-key-popup", "F6")
    world.server.run("set-option", "-g", "@tmux-agent-key-next", "F5")
    terminal = world.server.attach(columns=120)
    world.server.run("set-option", "-g", "@tmux-agent-key-menu", "F5")
    world.load()
    assert "press:popup:" in binding(world.server, "F6")
    assert "press:next:" in binding(world.server, "F5")
    assert not binding(world.server, "F7")
    terminal.wait_for("prefix + F5 is bound to another key of tmux-agent")


@pytest.mark.parametrize("version", ["2.9a", "3.0", "3.1c", "next-3.1"])
def test_old_tmux_is_told_and_untouched(world: World, version: str) -> None:
    """On a tmux that is too old one message comes and nothing changes."""
    real = shutil.which(TMUX)
    (world.bin / "tmux").unlink(missing_ok=True)
    world.script(
        "tmux",
        f'#!/bin/sh\ncase "$*" in "display-message -p #{{version}}") echo {version} ;; *) exec {real} "$@" ;; esac\n',
    )
    terminal = world.server.attach()
    before = state(world.server)
    world.load()
    terminal.wait_for("this tmux is older than 3.2")
    assert state(world.server) == before


def test_old_python_is_told_and_untouched(world: World) -> None:
    """Where no Python is new enough one message comes, at the first client, and nothing changes."""
    world.server.run("set-option", "-g", "@tmux-agent-command", "")
    for name in ("python3", "python3.13", "python3.12", "python3.11"):
        world.script(name, "#!/bin/sh\necho Python 3.10.9\n")
    before = state(world.server)
    world.load()
    terminal = world.server.attach()
    terminal.wait_for("needs Python 3.11 or newer")
    assert state(world.server) == before


def test_unloading_removes_only_ours(world: World) -> None:
    """After uninstall.sh the server is what it was before, the person's own hooks and keys included."""
    server = world.server
    server.run("set-hook", "-g", "client-attached", "set-option -g @hello 1")
    server.run("bind-key", "B", "display-message", "mine")
    before = state(server)
    world.load()
    world.called()
    for argv in signals.install("gone", "$99"):
        server.run(*argv)
    server.run("set-environment", "-gh", "TMUX_AGENT_W_@0", "x", ";", "new-session", "-d", "-s", signals.SESSION)
    server.run("run-shell", f"'{SCRIPTS}/uninstall.sh'")
    assert state(server) == before
    assert world.called()[-2:] == ["sidecar stop", "setup all --uninstall --yes"]


def test_unloading_keeps_a_key_that_is_the_persons_again(world: World) -> None:
    """A key that was bound to something else since is left alone."""
    world.load()
    world.server.run("bind-key", "A", "display-message", "mine")
    world.server.run("run-shell", f"'{SCRIPTS}/uninstall.sh'")
    assert "mine" in binding(world.server)


def test_names_are_the_same_on_both_sides() -> None:
    """The shell's lists of hooks, variables and names are those of the sidecar."""
    text = (SCRIPTS / "variables.sh").read_text()

    def value(name: str) -> list[str]:
        match = re.search(rf'^{name}="([^"]*)"', text, re.MULTILINE)
        assert match is not None
        return match[1].split()

    assert value("hidden_session") == [signals.SESSION]
    assert value("hook_index") == [str(signals.INDEX)]
    assert sorted(value("our_hooks")) == sorted(signals.HOOKS)
    assert set(signals.VARIABLES) | {signals.ENSURE} <= set(value("our_variables"))
    for name in badge.Styles.__struct_fields__:
        assert re.search(rf"@tmux-agent-style-{name} +{re.escape(getattr(badge.Styles(), name))}", text)


def run_install(world: World, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPTS / "install.sh"],
        env={**world.env, **env},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture
def installer(world: World) -> World:
    """A world whose Python makes environments at once, and counts: packages are not fetched in tests."""
    real = shutil.which("python3")
    world.script(
        "python3",
        f"""#!/bin/sh
case "$1" in
-V) exec {real} -V ;;
-m) echo "venv" >>"$HOME/made"
	mkdir -p "$3/bin" "$3/lib"
	printf '#!/bin/sh\\ncase "$*" in *sysconfig*) echo "%s/lib" ;; *pip*) echo "pip $*" >>"$HOME/made"
	[ ! -e "$HOME/offline" ] || {{ echo "no network"; exit 1; }} ;; esac\\n' "$3" >"$3/bin/python"
	chmod +x "$3/bin/python" ;;
esac
""",
    )
    (world.home / ".local/bin").mkdir(parents=True)
    os.symlink("/bin/false", world.home / "nothing")
    return world


def test_installs_once_from_hashes(installer: World) -> None:
    """The environment is made once, with hashes required, and its command is printed and linked."""
    first, again = run_install(installer), run_install(installer)
    command = installer.home / "data/tmux-agent/env/bin/tmux-agent"
    assert first.stdout == again.stdout == f"{command}\n", first.stderr
    made = (installer.home / "made").read_text()
    assert made.count("venv") == 1
    assert "--require-hashes -r" in made
    assert os.readlink(installer.home / ".local/bin/tmux-agent") == str(command)
    assert os.listdir(installer.home / "data/tmux-agent/bin") == ["tmux-agent"]
    assert os.readlink(installer.home / "data/tmux-agent/bin/tmux-agent") == str(command)
    assert (installer.home / "data/tmux-agent/env/lib/tmux-agent.pth").read_text() == f"{PLUGIN}/sidecar\n"


def test_changed_requirements_are_installed(installer: World) -> None:
    """After an update that needs other packages a new environment is made and used; the former stays for one more."""
    plugin = installer.home / "plugin"
    shutil.copytree(SCRIPTS, plugin / "scripts")
    (plugin / "sidecar").symlink_to(PLUGIN / "sidecar")

    def install(requirements: str) -> str:
        (plugin / "requirements.txt").write_text(requirements)
        done = subprocess.run(
            [plugin / "scripts/install.sh"],
            env=installer.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        return os.readlink(Path(done.stdout.strip()).parents[1])

    first = install("one\n")
    assert install("one\n") == first
    second = install("two\n")
    assert second != first
    assert Path(first).exists()
    install("three\n")
    assert not Path(first).exists()
    assert (installer.home / "made").read_text().count("venv") == 3


def test_two_installations_at_once_are_one(installer: World) -> None:
    """Started twice at the same time it installs once, and both name the command."""
    both = [
        subprocess.Popen([SCRIPTS / "install.sh"], env=installer.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    outs = {one.communicate(timeout=PATIENCE)[0] for one in both}
    assert outs == {f"{installer.home}/data/tmux-agent/env/bin/tmux-agent\n".encode()}
    assert (installer.home / "made").read_text().count("venv") == 1


def test_failed_installation_says_where_and_is_retried(installer: World) -> None:
    """A failure names its reason and log, leaves nothing half-made, and the next try works."""
    (installer.home / "offline").touch()
    failed = run_install(installer)
    assert failed.returncode == 1
    assert "the installation failed: no network" in failed.stderr
    assert "install.log" in failed.stderr
    (installer.home / "offline").unlink()
    assert run_install(installer).returncode == 0


def test_lock_of_a_dead_installation_is_taken_over(installer: World) -> None:
    """An installation that was killed does not block the next."""
    lock = installer.home / "data/tmux-agent/install.lock"
    lock.mkdir(parents=True)
    (lock / "pid").write_text("999999\n")
    assert run_install(installer).returncode == 0


def test_installation_is_shown_in_tmux(installer: World) -> None:
    """In tmux a person sees that it is being installed, and that it is done."""
    terminal: Terminal = installer.server.attach(columns=160)
    installer.server.run("set-option", "-g", "@tmux-agent-command", "")
    installer.server.run("run-shell", f"'{SCRIPTS}/install.sh' >/dev/null")
    terminal.wait_for("installed; its command is")


def test_requirements_name_no_index() -> None:
    """The pinned files hold hashes for every package and no address."""
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (PLUGIN / name).read_text()
        assert "://" not in text
        pins = re.findall(r"^[a-z0-9].*==", text, re.MULTILINE)
        assert len(pins) > 10
        assert len(re.findall(r"^[a-z0-9][^\n]*\\\n    --hash=sha256:", text, re.MULTILINE)) == len(pins)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_scripts_pass_shellcheck() -> None:
    """The plugin's scripts pass shellcheck with everything switched on (.shellcheckrc)."""
    names = ["variables.sh", "helpers.sh", "ensure_sidecar.sh", "install.sh", "uninstall.sh"]
    files = [str(ENTRY), *(str(SCRIPTS / name) for name in names)]
    done = subprocess.run(["shellcheck", "-x", *files], cwd=PLUGIN, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
