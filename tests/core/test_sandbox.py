"""The wall as a list: what is there, what is hidden, what is refused; and the filter of system calls, by the kernel."""

from __future__ import annotations

import pytest

from tmux_agent.core import sandbox, sandbox_agents, seccomp
from tmux_agent.core.judging_other import outside
from tmux_agent.core.model import Decision, Match, Verdict
from tmux_agent.core.sandbox import Facts, Git, Mount, Refused, Wanted

HOME, TOP, STATE = "/home/ann", "/home/ann/shop", "/home/ann/.local/state/tmux-agent"
CONFIG = f"{HOME}/.config/tmux-agent"


def facts(*there: str, **changes: object) -> Facts:
    found = Facts(
        home=HOME, cwd=f"{TOP}/src", top=TOP, uid=1000, agent="", environ={"HOME": HOME, "PATH": "/usr/bin"},
        there=dict.fromkeys((TOP, "/usr", *there), "folder"), programs=(), ours=(), secret=(STATE, CONFIG), state=STATE,
        sockets=f"{STATE}/agents", told={"socket": "/run/user/1000/tmux-agent.sock\n"},
    )  # fmt: skip
    return found._replace(**changes)  # type: ignore[arg-type]


def mounts(found: Facts, wanted: Wanted = Wanted()) -> dict[str, Mount]:  # noqa: B008 - a constant
    listed = sandbox.mounts(wanted, found)
    depths = [one.path.count("/") for one in listed]
    assert depths == sorted(depths), "what lies above hides nothing that lies below"
    return {one.path: one for one in listed}


def test_the_worktree_is_written_and_the_home_is_empty() -> None:
    there = mounts(facts(f"{HOME}/.gitconfig"))
    assert there[TOP].how == "rw"
    assert there[HOME].how == "tmpfs"
    assert there[f"{HOME}/.gitconfig"].how == "ro"
    assert there["/usr"].how == "ro"
    assert f"{HOME}/.ssh" not in there
    assert there["/run/user/1000"] == Mount("ro", "/run/user/1000", f"{STATE}/agents")
    assert there[f"{STATE}/socket"].how == "text"


@pytest.mark.parametrize(
    "top", ["/", "/home", HOME, f"{HOME}/.config", CONFIG, f"{HOME}/.local/state", "/tmp", "/var", "/run", "/etc"]
)
def test_nothing_above_the_home_our_files_or_others_sockets_is_a_worktree(top: str) -> None:
    with pytest.raises(Refused):
        sandbox.mounts(Wanted(), facts(top, top=top))
    with pytest.raises(Refused):
        sandbox.mounts(Wanted(writable=(top,)), facts(top))


def test_our_files_are_hidden_in_what_a_person_shows() -> None:
    there = mounts(facts(f"{HOME}/.config", CONFIG), Wanted(read_only=("~/.config", "~/none")))
    assert there[f"{HOME}/.config"].how == "ro"
    assert there[CONFIG].how == "tmpfs"
    assert f"{HOME}/none" not in there


def test_what_is_to_be_hidden_is_hidden() -> None:
    found = facts(f"{TOP}/.env", f"{TOP}/keys", f"{HOME}/elsewhere")
    found = found._replace(there={**found.there, f"{TOP}/.env": "file"})
    there = mounts(found, Wanted(hide=(f"{TOP}/.env", f"{TOP}/keys", "~/elsewhere")))
    assert (there[f"{TOP}/.env"].how, there[f"{TOP}/keys"].how) == ("none", "tmpfs")
    assert f"{HOME}/elsewhere" not in there  # it is not there in any case


def test_of_a_linked_worktree_what_runs_programs_elsewhere_cannot_be_written() -> None:
    git = Git("/src/shop/.git", "/src/shop/.git/worktrees/x", "/private/packed-refs")
    there = mounts(facts(*sandbox.git_candidates(git, TOP), git=git))
    assert there["/src/shop/.git"].how == "tmpfs", "whoever writes there writes nowhere else"
    assert there["/src/shop/.git/packed-refs"] == Mount("ro", "/src/shop/.git/packed-refs", "/private/packed-refs")
    assert there["/src/shop/.git/HEAD"].how == "copy"
    ways = {path.removeprefix("/src/shop/.git/"): one.how for path, one in there.items() if path.startswith("/src")}
    assert {name for name, how in ways.items() if how == "rw"} == {
        "objects", "refs", "lfs", "worktrees/x",
    }  # fmt: skip
    for name in ("config", "hooks", "info", "modules", "worktrees/x/commondir", "worktrees/x/gitdir"):
        assert ways[name] == "ro"
    assert there[f"{TOP}/.git"].how == "ro"


def test_of_a_main_checkout_gits_folder_is_read_only() -> None:
    there = mounts(facts(f"{TOP}/.git", git=Git(f"{TOP}/.git")))
    assert there[f"{TOP}/.git"].how == "ro"


@pytest.mark.parametrize("top", ["/home/ann/.claude", "/home/ann/.claude/skills/mine", "/home/ann/.codex"])
def test_what_agents_outside_believe_is_no_worktree(top: str) -> None:
    with pytest.raises(Refused, match="keeps its settings"):
        sandbox.mounts(Wanted(), facts(top, top=top))


def test_our_own_code_in_the_worktree_is_not_the_agents_to_change() -> None:
    ours, programs = (f"{TOP}/sidecar/tmux_agent", f"{TOP}/.venv", "/opt/venv"), (f"{TOP}/node_modules/.bin",)
    there = mounts(facts(*ours, *programs, programs=programs, ours=ours))
    assert {there[path].how for path in ours} == {"ro"}
    assert programs[0] not in there


def test_what_is_mounted_in_the_worktree_cannot_be_moved_away_with_the_folder_above_it() -> None:
    """A folder with something mounted in it may be renamed, and another be made, unless it is mounted itself."""
    hidden = f"{TOP}/deploy/keys/production/key"
    there = mounts(facts(hidden, f"{HOME}/seen"), Wanted(hide=(hidden,), read_only=("~/seen",)))
    assert there[hidden].how == "tmpfs"
    for folder in (f"{TOP}/deploy", f"{TOP}/deploy/keys", f"{TOP}/deploy/keys/production"):
        assert there[folder].how == "rw"
    assert "/home/ann/.local" not in there, "nothing of it is anybody else's"
    below = mounts(facts(f"{HOME}/seen", f"{HOME}/seen/a/b"), Wanted(read_only=("~/seen",), hide=("~/seen/a/b",)))
    assert f"{HOME}/seen/a" not in below, "it stays read-only"


def test_the_machines_settings_in_proc_are_read_only() -> None:
    assert mounts(facts("/proc/sys"))["/proc/sys"].how == "ro"


def test_an_agent_gets_its_own_and_nobody_elses() -> None:
    claude, codex = f"{HOME}/.claude", f"{HOME}/.codex"
    everything = [
        path
        for kind in sandbox_agents.KINDS
        for kept in [sandbox_agents.of(kind, HOME, {}, f"{TOP}/src")]
        for path in (*kept.read_only, *kept.copied, *kept.credentials, *kept.folders, *kept.believed)
    ]
    there = mounts(facts(*everything, agent="claude"))
    assert there[claude].how == "tmpfs"
    assert there[f"{claude}/settings.json"].how == "ro"
    assert there[f"{HOME}/.claude.json"].how == "copy"
    assert there[f"{claude}/.credentials.json"].how == "copy"
    assert there[f"{claude}/projects/-home-ann-shop-src"].how == "rw"
    assert there[f"{claude}/projects/-home-ann-shop-src/memory"].how == "ro", "Claudes outside believe it"
    assert not [path for path in there if path.startswith(codex)]
    without = mounts(facts(*everything, agent="claude"), Wanted(credentials=("codex",)))
    assert f"{claude}/.credentials.json" not in without
    assert not [path for path in mounts(facts(*everything)) if "claude" in path]


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("codex", "exec", "x"), True),
        (("codex", "-s", "read-only"), False),
        (("codex", "--sandbox=read-only"), False),
        (("codex", "-c", "sandbox_mode='read-only'"), False),
        (("codex", "--search"), True),
        (("claude", "-c"), False),
    ],
)
def test_codex_is_told_that_it_needs_no_sandbox_of_its_own(argv: tuple[str, ...], told: bool) -> None:
    found = sandbox_agents.started(argv[0], argv)
    assert (found != argv) is told
    assert found[-len(argv) + 1 :] == argv[1:]


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        (("-s", "read-only"), True),
        (("exec", "--sandbox=workspace-write", "x"), True),
        (("-c", "sandbox_mode='read-only'"), True),
        (("--full-auto",), True),
        (("-s", "danger-full-access", "make it read-only"), False),
        (("make it read-only",), False),
    ],
)
def test_a_person_is_told_before_codex_runs_nothing(words: tuple[str, ...], warned: bool) -> None:
    assert bool(sandbox_agents.warning("codex", ("codex", *words))) is warned
    assert not sandbox_agents.warning("claude", ("claude", *words))


def test_a_profile_that_codex_is_given_is_there() -> None:
    home = {"CODEX_HOME": "/codex"}
    for words in (("-p", "fast"), ("exec", "--profile", "fast"), ("--profile=fast",)):
        assert sandbox_agents.named("codex", ("codex", *words), HOME, home) == ("/codex/fast.config.toml",)
    assert sandbox_agents.named("codex", ("codex", "-p", "../../.ssh/x"), HOME, home) == ()


def test_what_leads_out_is_not_in_the_environment() -> None:
    outside = {
        "HOME": HOME, "TMUX": "/tmp/tmux-1000/default,1,0", "SSH_AUTH_SOCK": "/tmp/x", "TMUX_AGENT_SOCKET": "/run/o",
        "TMUX_AGENT_RUN": "ab", "TMUX_AGENT_SECRETS_KEY_FILE": "/k", "XDG_RUNTIME_DIR": "/run/user/1000/x", "LANG": "C",
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "ann",
    }  # fmt: skip
    inside = sandbox.environment(facts(environ=outside))
    assert not {"TMUX", "SSH_AUTH_SOCK", "TMUX_AGENT_SECRETS_KEY_FILE"} & inside.keys()
    assert inside["TMUX_AGENT_SOCKET"] == "/run/user/1000/tmux-agent.sock"
    assert (inside["TMUX_AGENT_RUN"], inside["LANG"], inside["GIT_CONFIG_VALUE_0"]) == ("ab", "C", "ann")
    assert (inside["GIT_CONFIG_COUNT"], inside["GIT_CONFIG_KEY_1"]) == ("5", "gc.auto")


def test_the_command_line() -> None:
    found = facts()
    words = sandbox.argv(
        "bot", Wanted(), found, [Mount("rw", TOP), Mount("text", "/s", "x")], {"/s": 7}, 6, ["bot", "-x"]
    )
    assert words[:2] == ["bot", "--unshare-user"]
    assert "--disable-userns" in words
    assert "--unshare-net" not in words
    assert "--unshare-net" in sandbox.argv("b", Wanted(network=False), found, [], {}, 6, ["bot"])
    assert "--disable-userns" not in sandbox.argv("b", Wanted(user_namespaces=True), found, [], {}, 6, ["bot"])
    assert words[words.index("--bind") :][:3] == ["--bind", TOP, TOP]
    assert words[-3:] == ["sh", "bot", "-x"]
    assert words.index("--remount-ro") > words.index("--bind")


def decide(program: bytes, arch: int, number: int, *arguments: int) -> int:
    """What the kernel's machine for such filters would give (the instructions that we use)."""
    steps = [program[at : at + 8] for at in range(0, len(program), 8)]
    data = {0: number, 4: arch} | {16 + 8 * at: value & 0xFFFFFFFF for at, value in enumerate(arguments)}
    at, loaded = 0, 0
    while True:
        code, yes, no, value = (int.from_bytes(steps[at][:2], "little"), steps[at][2], steps[at][3],
                                int.from_bytes(steps[at][4:], "little"))  # fmt: skip
        at += 1
        if code == 0x20:
            loaded = data.get(value, 0)
        elif code == 0x06:
            return value
        else:
            assert code in (0x15, 0x35)
            at += yes if (loaded == value if code == 0x15 else loaded >= value) else no


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_the_filter_fails_what_it_is_for_and_nothing_else(machine: str) -> None:
    of, filter_ = seccomp.MACHINES[machine], seccomp.program(machine)
    allow, eperm = 0x7FFF0000, 0x00050001
    assert decide(filter_, of.arch, of.ioctl, 0, 0x5412) == eperm
    assert decide(filter_, of.arch, of.ioctl, 0, 0x541C) == eperm
    assert decide(filter_, of.arch, of.ioctl, 0, 0x5413) == allow  # TIOCGWINSZ
    assert decide(filter_, of.arch, of.ioctl, 0, 0xFFFFFFFF_00005412) == eperm  # the kernel looks at 32 bits only
    assert decide(filter_, of.arch, of.socket, 40) == 0x00050000 | 97
    assert decide(filter_, of.arch, of.socket, 1) == allow
    for number in of.never:
        assert decide(filter_, of.arch, number) == eperm
    assert decide(filter_, of.arch, 0) == allow
    assert decide(filter_, of.arch, 0x40000000 | of.ioctl, 0, 0x5412) == 0x00050000 | 38
    assert decide(filter_, 0x40000003, 54, 0, 0x5412) == 0x00050000 | 38  # i386


def test_what_is_done_outside_is_asked_unless_a_person_gave_it_ahead() -> None:
    rule = Match(rule="reads", verdict=Verdict.ALLOW, where="policy.yaml:3")
    allowed = Decision(verdict=Verdict.ALLOW, rule="reads", reason="", matched=(rule,))
    asked = outside(allowed)
    assert (asked.verdict, asked.rule) == (Verdict.ASK, "sandbox")
    assert "reads" in asked.reason
    grant = Match(rule="grant 01K", verdict=Verdict.ALLOW, where="grant 01K")
    given = Decision(verdict=Verdict.ALLOW, rule="grant 01K", reason="", matched=(grant,))
    denied = Decision(verdict=Verdict.DENY, rule="no", reason="")
    assert outside(given) is given
    assert outside(denied) is denied
