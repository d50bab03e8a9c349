"""The names that guardrails speak of: paths, programs, options.

Owns these lists. Must not own what follows from them (guardrails.py).
"""

from __future__ import annotations

import re

WRITES = frozenset(("write", "edit", "copy", "delete"))
# Agents' own settings: whoever writes them can take the hooks out.
AGENT_SETTINGS = (
    "**/.claude/settings.json",
    "**/.claude/settings.*.json",
    "**/.claude/hooks/**",
    "~/.claude.json",
    "/etc/claude-code/**",
    "**/.codex/config.toml",
    "**/.codex/hooks.json",
    "**/.codex/rules/**",
    "**/.gemini/settings.json",
    "**/.gemini/config/**",
    "**/.gemini/policies/**",
    "/etc/gemini-cli/**",
    "**/.cursor/hooks.json",
    "**/.cursor/cli-config.json",
    "**/opencode.json",
    "**/opencode.jsonc",
    "**/.config/opencode/**",
    "**/opencode/plugins/tmux-agent.js",  # under another XDG_CONFIG_HOME
    "**/.opencode/**",
    "**/.tmuxagent/**",
)
# Not refused, but never without a person.
ASKED_PATHS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "changes what git runs",
        (
            "**/.git/config",
            "**/.git/config.worktree",
            "**/.git/hooks/**",
            "**/.git/modules/**/config",
            "**/.git/info/attributes",
            "~/.gitconfig",
            "~/.config/git/**",
            "/etc/gitconfig",
        ),
    ),
    (
        "changes what shells run when they start",
        (
            "~/.bashrc",
            "~/.bash_profile",
            "~/.bash_login",
            "~/.bash_logout",
            "~/.bash_aliases",
            "~/.profile",
            "~/.zshrc",
            "~/.zshenv",
            "~/.zprofile",
            "~/.zlogin",
            "~/.zlogout",
            "~/.kshrc",
            "~/.inputrc",
            "~/.config/fish/**",
            "~/.xprofile",
            "~/.xinitrc",
            "~/.pam_environment",
            "~/.config/environment.d/**",
            "/etc/profile",
            "/etc/profile.d/**",
            "/etc/bash.bashrc",
            "/etc/zsh/**",
        ),
    ),
    (
        "changes what runs by itself later",
        (
            "~/.config/systemd/**",
            "~/.config/autostart/**",
            "/etc/cron*/**",
            "/var/spool/cron/**",
            "/etc/systemd/**",
            "~/Library/LaunchAgents/**",
        ),
    ),
    ("changes tmux itself", ("~/.tmux.conf", "~/.tmux/**", "~/.config/tmux/**", "/etc/tmux.conf")),
    (
        "changes keys or who may log in",
        ("~/.ssh/**", "~/.gnupg/**", "/etc/ssh/**", "/etc/sudoers", "/etc/sudoers.d/**", "/etc/passwd"),
    ),
    (
        "changes which servers an agent talks to",
        ("**/.mcp.json", "**/.cursor/mcp.json", "**/.vscode/mcp.json", "~/.config/claude/**"),
    ),
)

SHELLS = frozenset(["sh", "bash", "dash", "zsh", "ksh", "fish", "ash", "csh", "tcsh", "mksh", "rbash", "pwsh"])
INTERPRETERS = re.compile(
    r"(python|pypy|perl|ruby|node|nodejs|deno|bun|php|lua|luajit|tclsh|wish|osascript|rscript|julia|ghci|runghc|irb|groovy|scala"
    r"|guile|racket|sbcl|elixir|erl|escript|jshell|swift|ts-node|tsx|ipython|gdb|expect|jjs)[0-9.]*",
    re.IGNORECASE,
)
# Letters of the options with which an interpreter takes code, by the beginning of its name; "e" and "E" for the others.
CODE_LETTERS = {
    "python": "c",
    "pypy": "c",
    "ipython": "c",
    "node": "epi",
    "nodejs": "epi",
    "php": "rRBE",
    "tclsh": "",
    "osascript": "e",
    "rscript": "e",
    "deno": "",
    "gdb": "x",
    "expect": "c",
}
CODE_WORDS = ("--eval", "--print", "--exec", "--execute", "--command", "--run", "eval", "--import", "--require")
SHELL_FOR = frozenset(["ssh", "docker", "podman", "kubectl", "nsenter", "lxc", "machinectl"])
AGENTS = frozenset(
    [
        "claude",
        "claude-code",
        "codex",
        "gemini",
        "opencode",
        "cursor-agent",
        "aider",
        "goose",
        "amp",
        "qwen",
        "copilot",
        "crush",
        "cline",
        "auggie",
        "droid",
    ]
)
AGENT_PACKAGES = (
    "@anthropic-ai/claude-code",
    "@openai/codex",
    "@google/gemini-cli",
    "opencode-ai",
    "@qwen-code/qwen-code",
)
PRIVILEGE = frozenset(
    [
        "sudo",
        "doas",
        "su",
        "pkexec",
        "run0",
        "runuser",
        "sudoedit",
        "visudo",
        "passwd",
        "chpasswd",
        "usermod",
        "useradd",
        "userdel",
        "groupadd",
        "setcap",
        "newgrp",
    ]
)
LATER = frozenset(
    [
        "at",
        "batch",
        "crontab",
        "systemd-run",
        "systemctl",
        "launchctl",
        "nohup",
        "setsid",
        "disown",
        "daemonize",
        "start-stop-daemon",
    ]
)
SENDS = frozenset(
    [
        "scp",
        "sftp",
        "ftp",
        "lftp",
        "ncat",
        "nc",
        "netcat",
        "socat",
        "telnet",
        "rclone",
        "s3cmd",
        "gsutil",
        "croc",
        "magic-wormhole",
        "wormhole",
        "mail",
        "sendmail",
        "mutt",
    ]
)
READING_WORDS = frozenset(
    [
        "get",
        "describe",
        "list",
        "ls",
        "logs",
        "log",
        "ps",
        "images",
        "inspect",
        "show",
        "version",
        "info",
        "top",
        "explain",
        "diff",
        "status",
        "history",
        "search",
        "config",
        "context",
        "contexts",
        "view",
        "whoami",
        "help",
        "cluster-info",
        "api-resources",
        "api-versions",
        "auth",
        "can-i",
        "list-objects",
        "head-object",
        "plan",
        "validate",
        "fmt",
        "output",
        "state",
        "graph",
        "providers",
        "template",
        "events",
        "stats",
        "port",
        "size",
        "account",
        "project",
        "projects",
        "--version",
        "--help",
        "-v",
        "-h",
    ]
)
CLOUD = frozenset(
    [
        "docker",
        "podman",
        "nerdctl",
        "kubectl",
        "helm",
        "oc",
        "terraform",
        "tofu",
        "pulumi",
        "aws",
        "gcloud",
        "az",
        "doctl",
        "flyctl",
        "fly",
        "heroku",
        "vercel",
        "netlify",
        "wrangler",
        "ansible",
        "ansible-playbook",
        "vagrant",
        "minikube",
        "kind",
        "k3d",
        "k9s",
        "eksctl",
        "docker-compose",
        "podman-compose",
        "buildah",
        "skopeo",
        "cdk",
        "serverless",
        "sam",
        "firebase",
        "supabase",
        "railway",
        "oci",
        "ibmcloud",
        "linode-cli",
        "hcloud",
        "scw",
        "openstack",
        "virsh",
        "lxc",
        "multipass",
    ]
)
OURS = frozenset(("tmux-agent",))
OURS_REFUSED = frozenset(
    ["approve", "deny", "popup", "sidecar", "grants", "setup", "restore", "secret", "links", "check", "chat"]
)
OURS_REFUSED_WORDS = frozenset([("state", "restore"), ("notify", "bridge"), ("notify", "test")])
OURS_READING = frozenset(["check", "explain", "test", "lint", "replay", "init"])
