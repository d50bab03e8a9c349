"""Path patterns, secrets, and what is inside what. Text only: no file is looked at.

Owns the pattern language of the policy file and the comparison of whole components. Must not own resolving links
(services/observe.py): every path that is compared here for safety is a real path from a fact.
Patterns: `*` and `?` within one component, `**` any number of components, a leading `~/` for the home folder; a pattern
without a leading `/`, `~/` or `**/` matches at any depth. A pattern that ends in `/**` also matches the folder itself.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

# Names that hold secrets in one project or another; policy.yaml may give its own list (`secrets`). A later pattern wins
# over an earlier one, and `!` makes an exception: first names, then exceptions from them, then whole folders.
SECRETS = (
    "**/.env", "**/.env.*", "**/*.env", "**/.envrc", "**/.flaskenv", "**/*.pem", "**/*.key", "**/*.p12", "**/*.pfx",
    "**/*.jks", "**/*.keystore", "**/*.p8", "**/*.ppk", "**/*.kdbx", "**/*.kdb", "**/*.ovpn", "**/*.agekey", "**/*.gpg",
    "**/*.pgp", "**/*.tfvars", "**/*.tfvars.json", "**/*.tfstate", "**/*.tfstate.*", "**/*.secret", "**/*.secrets",
    "**/*.token", "**/id_rsa*", "**/id_dsa*", "**/id_ecdsa*", "**/id_ed25519*", "**/.netrc", "**/_netrc", "**/.pgpass",
    "**/.my.cnf", "**/.mylogin.cnf", "**/.npmrc", "**/.pypirc", "**/.git-credentials", "**/.gitcredentials", "**/.boto",
    "**/.s3cfg", "**/.vault-token", "**/.htpasswd", "**/.dockercfg", "**/.terraformrc", "**/.authinfo*", "**/.msmtprc",
    "**/.fetchmailrc", "**/.smbcredentials", "**/credentials", "**/credentials.*", "**/.credentials",
    "**/.credentials.*",
    "**/*credentials.json", "**/*-credentials.*", "**/*_credentials.*", "**/.secret", "**/.secrets", "**/secret",
    "**/secrets.*", "**/secret.*", "**/*secrets.y*ml", "**/*secret.y*ml", "**/*secrets.json", "**/*secret.json",
    "**/*secrets.toml", "**/*secret.toml", "**/*secrets.txt", "**/*secret.txt", "**/*-secrets.*", "**/*-secret.*",
    "**/*_secrets.*", "**/*_secret.*", "**/*private_key*", "**/*private-key*", "**/*privatekey*",
    "**/service-account*.json", "**/service_account*.json", "**/*serviceaccount*.json", "**/client_secret*.json",
    "**/gcp-key*.json", "**/*firebase-adminsdk*.json", "**/token", "**/token.json", "**/token.txt", "**/.token",
    "**/api_key*", "**/apikey*", "**/api-key*", "**/*_token", "**/password", "**/passwords", "**/password.txt",
    "**/passwords.*", "**/passwd.txt", "**/wallet.dat", "**/auth.json", "**/.claude.json", "**/vault.y*ml",
    "**/.vault_pass*", "**/.*_history", "**/.history", "**/.lesshst", "**/fish_history",
    "!**/.env.example", "!**/.env.sample", "!**/.env.template", "!**/.env.dist", "!**/.env.defaults", "!**/.env.schema",
    "!**/example.env", "!**/sample.env", "!**/*.env.example", "!**/*.pub",
    "!**/*.py", "!**/*.ts", "!**/*.js", "!**/*.tsx", "!**/*.jsx", "!**/*.go", "!**/*.rs", "!**/*.java", "!**/*.rb",
    "!**/*.c", "!**/*.h", "!**/*.cpp", "!**/*.cs", "!**/*.php", "!**/*.kt", "!**/*.swift", "!**/*.md", "!**/*.rst",
    "!**/site-packages/**", "!**/node_modules/**", "!**/*.pyi", "!**/*.html",
    "!**/*.css", "!**/*.vue", "!**/*.svelte", "!**/*.tf", "!**/*.proto", "!**/*.sql",
    "**/.ssh/**", "**/.gnupg/**", "**/.aws/**", "**/.azure/**", "**/.kube/**", "**/.docker/config.json",
    "**/.config/gcloud/**", "**/.config/gh/**", "**/.config/hub", "**/.config/op/**", "**/.config/rclone/**",
    "**/.config/sops/**", "**/.config/git/credentials", "**/.config/google-chrome/**", "**/.config/chromium/**",
    "**/.password-store/**", "**/.local/share/keyrings/**", "**/.mozilla/**", "**/.terraform.d/**", "**/.oci/**",
    "**/.helm/**", "**/.vnc/**", "**/.gem/credentials", "**/.cargo/credentials*", "**/.claude/.credentials*",
    "**/.codex/auth*", "**/.gemini/oauth*", "**/.secrets/**", "**/secrets/**", "**/.private/**", "**/private_keys/**",
    "/etc/shadow*", "/etc/gshadow*", "/etc/sudoers*", "/etc/ssl/private/**", "/proc/**/environ",
)  # fmt: skip


@lru_cache(maxsize=2048)
def compiled(pattern: str, home: str = "") -> re.Pattern[str]:
    """The pattern as a regular expression over absolute paths. Names are compared without regard to case: the file
    systems of some machines do."""
    if pattern.startswith("~/") or pattern == "~":
        pattern = home.rstrip("/") + pattern[1:]
    if not pattern.startswith(("/", "**")):
        pattern = "**/" + pattern
    return re.compile(_expression(pattern), re.DOTALL | re.IGNORECASE)


def _expression(pattern: str) -> str:
    tail = ""
    if pattern.endswith("/**"):
        pattern, tail = pattern[:-3], r"(?:/.*)?"
    out = []
    index = 0
    while index < len(pattern):
        if pattern.startswith("**/", index):
            out.append(r"(?:.*/)?" if index else r"/?(?:.*/)?")
            index += 3
        elif pattern.startswith("**", index):
            out.append(".*")
            index += 2
        else:
            char = pattern[index]
            out.append({"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char)))
            index += 1
    return "".join(out) + tail + r"\Z"


def matches(path: str, patterns: Iterable[str], home: str = "") -> bool:
    return any(compiled(pattern, home).match(path) for pattern in patterns)


class Secrets:
    """Which paths hold secrets, by name alone. `patterns` as in SECRETS; built once per policy."""

    def __init__(self, patterns: Sequence[str] = SECRETS, home: str = "") -> None:
        self.patterns = tuple(patterns)
        groups: list[tuple[bool, bool, list[str]]] = []  # (secret?, of the last component only?, expressions)
        for pattern in self.patterns:
            secret = not pattern.startswith("!")
            pattern = pattern.removeprefix("!")
            by_name = pattern.startswith("**/") and "/" not in pattern[3:] and pattern[3:] != "**"
            text = _expression(pattern[3:]) if by_name else compiled(pattern, home).pattern
            if not groups or groups[-1][:2] != (secret, by_name):
                groups.append((secret, by_name, []))
            groups[-1][2].append(text)
        # The last pattern that matches wins, so they are tried from the end.
        self._groups = [
            (secret, by_name, re.compile("|".join(texts), re.DOTALL | re.IGNORECASE))
            for secret, by_name, texts in reversed(groups)
        ]
        self._known: dict[str, bool] = {}
        by_path = [p.removeprefix("!") for p in self.patterns if "/" in p.removeprefix("!").removeprefix("**/")]
        self._hints = [_fixed(pattern) for pattern in by_path]
        self._folders = {p[:-3].rpartition("/")[2].casefold() for p in self.patterns if p.endswith("/**")}

    def near(self, folder: str) -> bool:
        """False only where no pattern with folders in it can match anything directly in `folder`."""
        parts = set(folder.casefold().split("/"))
        return any(hint is None or hint in parts for hint in self._hints)

    def by_name(self, name: str) -> bool:
        """As `in`, for a file in a folder that is not `near` anything."""
        if name.casefold() in self._folders:
            return True  # a file that has the name of a secret folder
        return next((secret for secret, by_name, rx in self._groups if by_name and rx.match(name)), False)

    def __contains__(self, path: str) -> bool:
        known = self._known.get(path)
        if known is None:
            if len(self._known) >= 65536:
                self._known.clear()
            known = self._known[path] = self._look(path)
        return known

    def _look(self, path: str) -> bool:
        name = path.rpartition("/")[2]
        for secret, by_name, expression in self._groups:
            if expression.match(name if by_name else path):
                return secret
        return False


def _fixed(pattern: str) -> str | None:
    """A component without wildcards that every match of a pattern has among its folders; None for none."""
    folders = pattern.removeprefix("~/").strip("/").split("/")[:-1]
    return next((part.casefold() for part in folders if part and not set(part) & set("*?~")), None)


def inside(path: str, roots: Iterable[str]) -> bool:
    """True where `path` is one of `roots` or beneath one. Both real paths; whole components are compared."""
    return any(path == root or path.startswith(root if root.endswith("/") else root + "/") for root in roots)


def absolute(folder: str, path: str) -> str:
    """`path` seen from `folder`, with nothing resolved: what the kernel would be asked."""
    return path if path.startswith("/") else f"{folder.rstrip('/')}/{path}"


def normal(path: str) -> str:
    """The path without `.`, doubled slashes and `..`, by text alone: only for shells' own `cd` and for messages."""
    return posixpath.normpath(path)


READABLE_DEVICES = frozenset(("/dev/null", "/dev/zero", "/dev/stdin", "/dev/fd/0"))
WRITABLE_DEVICES = frozenset(
    ("/dev/null", "/dev/stdout", "/dev/stderr", "/dev/fd/1", "/dev/fd/2", "/dev/zero", "/dev/full")
)


def is_network_device(path: str) -> bool:
    """bash's own names for sockets."""
    return bool(re.match(r"/+dev/+(tcp|udp)/", path))
