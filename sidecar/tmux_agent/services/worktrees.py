"""Git, as far as worktrees of agents need it: what a repository is, making and removing worktrees and branches.

Owns every call of git for the fleet: a child process of bounded time and output, with the repository's own programs
switched off (tools/environment.py) and no hook called. Names reach git as arguments, never through a shell. Must not
own: when (fleet_spawn.py, fleet_finish.py).
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil

from msgspec import Struct

from ..core import errors
from ..core.fleet import BRANCH, FleetAgent
from .tools import environment, process

SECONDS = 120.0  # a checkout of a large repository
OUTPUT = 256 << 10  # bytes
PATHS = 64 << 20  # bytes of what lists all files: some half a million
GRACE = 2.0
_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")  # which git takes for that commit, whatever else is called so
_SHORTSTAT = re.compile(r"(\d+) (file|insertion|deletion)")
LOOKS, LOOK_SECONDS = 5, 0.05
# These read names and commits, and run no program that a configuration names, but to get what a partial clone has not:
# that is forbidden, and the configuration not read first.
_READS = frozenset(("rev-parse", "symbolic-ref", "check-ref-format", "update-ref", "merge-base", "rev-list"))
NO_HOOKS = ("-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false")


class Repository(Struct, frozen=True, kw_only=True):
    """`top`: its main worktree, or the bare repository itself."""

    top: str
    bare: bool
    worktrees: tuple[Worktree, ...]


class Worktree(Struct, frozen=True, kw_only=True):
    path: str
    head: str = ""
    branch: str = ""  # "" where HEAD is detached
    bare: bool = False
    locked: str = ""  # why it may not be removed


async def git(folder: str, *argv: str, timeout: float = SECONDS, output: int = OUTPUT) -> process.Ended:
    """One call of git in `folder`, whatever comes of it; of what it prints at most `output` bytes are kept. Raises
    Unavailable, Failed (it could not be called), TimedOut, Denied (the configuration names a program that cannot be
    switched off)."""
    mark = f"fleet-{os.urandom(8).hex()}"
    env = environment.clean(os.environ, {}, (), mark)
    program = shutil.which("git", path=env["PATH"])
    if program is None:
        raise errors.Unavailable("there is no git on the PATH: install it")
    words = ("git", *NO_HOOKS, *argv)
    if argv[0] in _READS or argv[:2] == ("worktree", "list"):
        env |= environment.NO_FETCH
    else:
        words, env = await asyncio.to_thread(environment.git, words, env, program, folder)
    plan = process.Plan(
        program=program, argv=words, env=env, cwd=folder, stdin=None, timeout=timeout, grace=GRACE,
        output_bytes=output, mark=f"{environment.MARKER}={mark}",
    )  # fmt: skip
    try:
        ended = await process.run(plan)
    except (OSError, ValueError) as why:
        raise errors.Failed(f"git could not be started in {folder}: {why}") from None
    if ended.timed_out:
        raise errors.TimedOut(f"git {argv[0]} did not end within {timeout:g} seconds")
    return ended


async def ok(folder: str, *argv: str) -> str:
    """What git printed, without the last line end. Raises Failed with git's words where it did not go well."""
    ended = await git(folder, *argv)
    if ended.returncode != 0:
        said = " ".join(ended.stderr.text().split())[:1000]
        raise errors.Failed(f"git {' '.join(argv[:2])} in {folder}: {said or f'exit code {ended.returncode}'}")
    return ended.stdout.text().removesuffix("\n")


async def repository(folder: str) -> Repository:
    """The repository around a folder. Raises InvalidParams where there is none."""
    if not os.path.isdir(folder):
        raise errors.InvalidParams(f"params.repository: {folder} is no folder")
    try:
        trees = tuple(await worktrees(folder))
    except errors.Failed as why:
        raise errors.InvalidParams(f"params.repository: {folder} is in no git repository that can be used: "
                                   f"{why.message}") from None  # fmt: skip
    return Repository(top=trees[0].path, bare=trees[0].bare, worktrees=trees)


async def worktrees(folder: str) -> list[Worktree]:
    """All of the repository, the main one (or the bare repository) first."""
    found: list[Worktree] = []
    for block in (await _listed(folder)).split("\0\0"):
        fields = dict(line.partition(" ")[::2] for line in block.split("\0") if line)
        if "worktree" in fields:
            branch = fields.get("branch", "").removeprefix("refs/heads/")
            locked = (fields["locked"] or "without a reason") if "locked" in fields else ""
            found.append(Worktree(path=fields["worktree"], head=fields.get("HEAD", ""), branch=branch,
                                  bare="bare" in fields, locked=locked))  # fmt: skip
    return found


async def _listed(folder: str) -> str:
    """Asked again where git stumbles over what another git, which is adding a worktree, has only half written."""
    listing = ("worktree", "list", "--porcelain", "-z")
    for _ in range(LOOKS):
        try:
            return await ok(folder, *listing)
        except errors.Failed:
            await asyncio.sleep(LOOK_SECONDS)
    return await ok(folder, *listing)


async def check_branch(folder: str, branch: str) -> None:
    """Raises InvalidParams for what is no name of a branch."""
    if len(branch) > BRANCH:
        raise errors.InvalidParams(f"params.branch: has more than {BRANCH} characters")
    bad = not branch or branch.startswith("-") or branch == "HEAD" or not branch.isprintable() or _COMMIT.match(branch)
    if bad or (await git(folder, "check-ref-format", f"refs/heads/{branch}")).returncode != 0:
        raise errors.InvalidParams(f"params.branch: {branch!r} is no name that git takes for a branch")


async def commit_of(folder: str, ref: str) -> str:
    """The commit that a ref means; "" for none. Of a branch and a tag of one name git takes the tag."""
    if ref.startswith("-") or "\0" in ref:
        return ""
    ended = await git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    return ended.stdout.text().strip() if ended.returncode == 0 else ""


async def branch_commit(folder: str, branch: str) -> str:
    """The commit of a branch; "" where there is none of that name."""
    return await commit_of(folder, f"refs/heads/{branch}")


async def base_commit(folder: str, base: str) -> str:
    """The commit of what a branch begins at: of the branch of that name, else of whatever is called so; "" for none."""
    return await branch_commit(folder, base) or await commit_of(folder, base)


async def branches(folder: str, count: int = 500) -> list[str]:
    """Local branches, those that were committed to last first. Raises Failed."""
    words = ("--sort=-committerdate", f"--count={count}", "--format=%(refname:lstrip=2)", "refs/heads")
    return (await ok(folder, "for-each-ref", *words)).splitlines()


async def current_branch(repository: Repository) -> str:
    """What HEAD of the main worktree is on; its commit where it is detached."""
    main = repository.worktrees[0]
    if not main.bare:
        return main.branch or main.head
    folder = repository.top
    ended = await git(folder, "symbolic-ref", "--quiet", "--short", "HEAD")
    return ended.stdout.text().strip() if ended.returncode == 0 else ""


async def make_branch(folder: str, branch: str, commit: str, base: str) -> None:
    """Raises Conflict where there is one of that name, or git makes none for another reason."""
    none = "0" * len(commit)
    told = f"branch: Created from {base}"
    ended = await git(folder, "update-ref", "--create-reflog", "-m", told, f"refs/heads/{branch}", commit, none)
    if ended.returncode != 0:
        raise errors.Conflict(f"the branch {branch} could not be made: {' '.join(ended.stderr.text().split())[:500]}")


async def add(folder: str, path: str, branch: str) -> None:
    """A worktree with that branch. Raises Failed."""
    await ok(folder, "worktree", "add", "--", path, branch)


async def fetch_submodules(worktree: str) -> None:
    """Raises Failed, TimedOut. Git's own defaults say from where: not from other folders of this machine."""
    ended = await git(worktree, "submodule", "update", "--init", "--recursive", timeout=10 * SECONDS)
    if ended.returncode != 0:
        raise errors.Failed(f"the submodules could not be fetched: {' '.join(ended.stderr.text().split())[-1000:]}")


async def remove(folder: str, path: str, *, locked: bool = False) -> None:
    """Take a worktree away with all that is in it; one that is locked only where that is said. Raises Failed."""
    await ok(folder, "worktree", "remove", "--force", *(("--force",) if locked else ()), "--", path)


async def delete_branch(folder: str, branch: str, commit: str) -> bool:
    """Delete a branch if it still is at that commit, and checked out nowhere; whether it was."""
    if any(tree.branch == branch for tree in await worktrees(folder)):
        return False
    ended = await git(folder, "update-ref", "-d", f"refs/heads/{branch}", commit)
    return ended.returncode == 0


class Difference(Struct, frozen=True, kw_only=True):
    """How a worktree differs from where its branch left its base."""

    ahead: int = 0
    files: int = 0
    added: int = 0
    removed: int = 0
    uncommitted: tuple[str, ...] = ()


async def difference(one: FleetAgent) -> Difference:
    """Raises Failed, Unavailable, TimedOut; nothing is told of a worktree that is gone."""
    if not os.path.isdir(one.worktree):
        return Difference()
    base = await base_commit(one.worktree, one.base) or one.base_commit
    since = (await git(one.worktree, "merge-base", base, "HEAD")).stdout.text().strip() or one.base_commit
    ahead = await ok(one.worktree, "rev-list", "--count", f"{since}..HEAD")
    stat = await ok(one.worktree, "diff", "--shortstat", since)
    numbers = {word: int(number) for number, word in _SHORTSTAT.findall(stat)}
    return Difference(
        ahead=int(ahead), files=numbers.get("file", 0), added=numbers.get("insertion", 0),
        removed=numbers.get("deletion", 0), uncommitted=await changes(one.worktree),
    )  # fmt: skip


async def changes(folder: str) -> tuple[str, ...]:
    """What is not committed in a worktree, in the words of git status; also where that is configured to be silent."""
    return tuple((await ok(folder, "status", "--porcelain", "--untracked-files=normal")).splitlines())


async def prune(folder: str) -> None:
    """Forget worktrees whose folder is gone."""
    await ok(folder, "worktree", "prune")


# --- merging ---


async def is_ancestor(folder: str, older: str, newer: str) -> bool:
    return (await git(folder, "merge-base", "--is-ancestor", older, newer)).returncode == 0


async def merge_tree(folder: str, ours: str, theirs: str) -> tuple[str, tuple[str, ...]]:
    """The merged tree, and the files in conflict. Nothing but objects is written. Raises Failed."""
    ended = await git(folder, "merge-tree", "--write-tree", "--name-only", "--no-messages", ours, theirs)
    lines = ended.stdout.text().splitlines()
    if ended.returncode not in (0, 1) or not lines:
        said = " ".join(ended.stderr.text().split())[:500]
        raise errors.Failed(f"the merge could not be tried, which needs git 2.38: {said}; nothing was changed")
    return lines[0], tuple(line for line in lines[1:] if line) if ended.returncode == 1 else ()


async def added(folder: str, older: str, newer: str) -> tuple[str, ...]:
    """Paths that are in `newer`, a commit or a tree, and not in `older`. Raises Failed."""
    names = ("--no-renames", "--name-only", "--diff-filter=A", "-z")
    ended = await git(folder, "diff", *names, older, newer, "--", output=PATHS)
    if ended.returncode != 0 or ended.stdout.left_out:
        raise errors.Failed(f"what is new in {newer[:12]} could not be listed; nothing was changed")
    return tuple(filter(None, ended.stdout.text().split("\0")))


async def commit_tree(folder: str, tree: str, parents: tuple[str, ...], message: str) -> str:
    """A commit, by whoever git says the person is. Raises Failed."""
    words = [word for parent in parents for word in ("-p", parent)]
    return await ok(folder, "commit-tree", tree, *words, "-m", message)


async def fast_forward(worktree: str, commit: str) -> None:
    """Raises Failed: then the worktree is as it was."""
    await ok(worktree, "merge", "--ff-only", "--no-overwrite-ignore", "--quiet", commit)


async def move_branch(folder: str, branch: str, commit: str, before: str) -> None:
    """Raises Failed where it is not at `before` any more."""
    await ok(folder, "update-ref", "-m", f"merge of {commit[:12]}", f"refs/heads/{branch}", commit, before)
