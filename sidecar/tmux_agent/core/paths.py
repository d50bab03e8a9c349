"""Path patterns, secrets, and what is inside what. Text only: no file is looked at.

Owns the pattern language of the policy file and the comparison of whole components. Must not own resolving links
(services/observe.py): every path that is compared here for safety is a real path from a fact.
Patterns: `*` and `?` within one component, `**` any number of components, a leading `~/` for the home folder; a pattern
without a leading `/`, `~/` or `**/` matches at any depth. A pattern that ends in `/**` also matches the folder itself.
Of secrets only, a leading `./` speaks of what lies beneath a root: a root may itself lie in a folder of such a name.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

# Names that hold secrets in one project or another; policy.yaml may give its own list (`secrets`). A later pattern wins
# over an earlier one, and `!` makes an exception: first names, then exceptions from them, then whole folders. Copies
# that editors and people leave beside a file (`.env~`, `x.key.bak`) need no patterns of their own: see `Secrets`.
SECRETS = (
    "**/.env", "**/.env.*", "**/.env_*", "**/.env-*", "**/.env?", "**/*.env", "**/.envrc*", "**/.flaskenv",
    "**/env.prod*", "**/env.dev", "**/env.development", "**/env.local", "**/env.stag*", "**/env.live", "**/env.test",
    "**/env.private", "**/env.secret*", "**/env-prod*", "**/env_prod*", "**/.dev.vars*", "**/.prod.vars*",
    "**/*.pem", "**/*.key", "**/*.p12", "**/*.pfx", "**/*.pkcs12", "**/*.pkcs8", "**/*.pk8", "**/*.jks", "**/*.jceks",
    "**/*.bks", "**/*.keystore", "**/*.keytab", "**/*.p8", "**/*.ppk", "**/*.kdbx", "**/*.kdb", "**/*.psafe3",
    "**/*.keychain", "**/*.keychain-db", "**/*.ovpn", "**/wg?.conf", "**/*.agekey", "**/*.gpg", "**/*.pgp",
    "**/secring.*", "**/*.tfvars", "**/*.tfvars.json", "**/*.tfstate", "**/*.tfstate.*", "**/*.tfplan", "**/*.secret",
    "**/*.secrets", "**/*.token", "**/*.passwd", "**/*.password", "**/*.vault",
    "**/*id_rsa*", "**/*id_dsa*", "**/*id_ecdsa*", "**/*id_ed25519*", "**/*_rsa", "**/*_dsa", "**/*_ecdsa",
    "**/*_ed25519", "**/*-rsa", "**/*-dsa", "**/*-ecdsa", "**/*-ed25519", "**/google_compute_engine",
    "**/*_key", "**/*-key", "**/*_key.json", "**/*-key.json", "**/deploykey*", "**/deploy_key*", "**/deploy-key*",
    "**/sshkey*", "**/ssh_key*", "**/ssh-key*", "**/keyfile", "**/*.keyfile", "**/*privkey*", "**/*private_key*",
    "**/*private-key*", "**/*privatekey*", "**/key.properties", "**/keystore.properties", "**/signing.properties",
    "**/.netrc*", "**/_netrc", "**/.pgpass*", "**/.my.cnf", "**/.mylogin.cnf", "**/.npmrc", "**/.yarnrc",
    "**/.yarnrc.yml", "**/.pypirc", "**/pip.conf", "**/pip.ini", "**/nuget.config", "**/.git-credentials*",
    "**/.gitcredentials*", "**/git-credentials", "**/.boto", "**/.s3cfg*", "**/.vault-token*", "**/*.htpasswd",
    "**/htpasswd", "**/.dockercfg", "**/.dockerconfigjson", "**/*.dockerconfigjson", "**/.terraformrc",
    "**/.authinfo*", "**/.msmtprc", "**/.fetchmailrc", "**/.mbsyncrc", "**/.smbcredentials", "**/.databrickscfg",
    "**/kaggle.json", "**/rclone.conf", "**/ngrok.yml", "**/kubeconfig", "**/kubeconfig.*", "**/kubeconfig-*",
    "**/kubeconfig_*", "**/*.kubeconfig", "**/*-kubeconfig*", "**/*_kubeconfig*",
    "**/credentials", "**/credentials.*", "**/.credentials", "**/.credentials.*", "**/*credentials.json",
    "**/*-credentials", "**/*_credentials", "**/*-credentials.*", "**/*_credentials.*", "**/creds", "**/creds.*",
    "**/.creds", "**/*_creds", "**/*-creds", "**/*_creds.*", "**/*-creds.*",
    "**/.secret", "**/.secrets", "**/secret", "**/secrets", "**/*-secret", "**/*_secret", "**/*-secrets",
    "**/*_secrets", "**/secrets.*", "**/secret.*", "**/*secrets.y*ml", "**/*secret.y*ml", "**/*secrets.json",
    "**/*secret.json", "**/*secrets.toml", "**/*secret.toml", "**/*secrets.txt", "**/*secret.txt", "**/*-secrets.*",
    "**/*-secret.*", "**/*_secrets.*", "**/*_secret.*", "**/secret-*.y*ml", "**/secret_*.y*ml", "**/secrets-*.y*ml",
    "**/secrets_*.y*ml", "**/secret-*.json", "**/secret_*.json", "**/secrets-*.json", "**/secrets_*.json",
    "**/*service-account*.json", "**/*service_account*.json", "**/*serviceaccount*.json", "**/*client_secret*",
    "**/*client-secret*", "**/gcp-key*.json", "**/*adminsdk*.json", "**/oauth.json",
    "**/token", "**/token.json", "**/token.txt", "**/.token", "**/.tokens", "**/*_token", "**/*-token",
    "**/*_token.json", "**/*-token.json", "**/api_key*", "**/*_api_key*", "**/*_apikey*", "**/apikey*", "**/api-key*",
    "**/*-api-key*", "**/.api_key", "**/.apikey", "**/.api-key", "**/password", "**/passwords", "**/.password",
    "**/.passwords", "**/.passwd", "**/password.txt", "**/passwords.*", "**/passwd.txt", "**/*_password",
    "**/*-password", "**/*_passwd", "**/passphrase*", "**/*_passphrase", "**/wallet.dat", "**/auth.json",
    "**/auth.toml", "**/.claude.json", "**/vault.y*ml", "**/*.vault.y*ml", "**/.vault_pass*", "**/.vault-pass*",
    "**/vault_pass*", "**/vault-pass*", "**/cookies.txt", "**/cookies.sqlite", "**/.cookies", "**/.*_history",
    "**/.history", "**/.zhistory", "**/.histfile", "**/.viminfo", "**/.lesshst", "**/fish_history",
    "./**/private/**", "./**/secret/**",
    "!**/.env.example", "!**/.env.sample", "!**/.env.template", "!**/.env.dist", "!**/.env.defaults", "!**/.env.schema",
    "!**/.env-example", "!**/.env-sample", "!**/.env_example", "!**/.env_sample", "!**/.envrc.example",
    "!**/.envrc.sample", "!**/env.example", "!**/example.env", "!**/sample.env", "!**/*.env.example", "!**/*.pub",
    "!**/*.py", "!**/*.ts", "!**/*.js", "!**/*.tsx", "!**/*.jsx", "!**/*.go", "!**/*.rs", "!**/*.java", "!**/*.rb",
    "!**/*.c", "!**/*.h", "!**/*.cpp", "!**/*.cs", "!**/*.php", "!**/*.kt", "!**/*.swift", "!**/*.md", "!**/*.rst",
    "!**/site-packages/**", "!**/node_modules/**", "!**/*.pyi", "!**/*.html",
    "!**/*.css", "!**/*.vue", "!**/*.svelte", "!**/*.tf", "!**/*.proto", "!**/*.sql",
    "!**/*.cc", "!**/*.cxx", "!**/*.hpp", "!**/*.hh", "!**/*.hxx", "!**/*.m", "!**/*.mm", "!**/*.mjs", "!**/*.cjs",
    "!**/*.mts", "!**/*.cts", "!**/*.scala", "!**/*.kts", "!**/*.ex", "!**/*.exs", "!**/*.erl", "!**/*.clj",
    "!**/*.lua",
    "!**/*.dart", "!**/*.zig", "!**/*.nim", "!**/*.hs", "!**/*.ml", "!**/*.mli", "!**/*.fs", "!**/*.jl", "!**/*.pl",
    "!**/*.pm", "!**/*.scss", "!**/*.less", "!**/*.graphql", "!**/*.feature", "!**/*.adoc", "!**/*.mdx", "!**/*.svg",
    "**/wp-config.php",
    "**/.ssh/**", "**/.gnupg/**", "**/.aws/**", "**/.azure/**", "**/.kube/**", "**/.docker/config.json",
    "**/.config/gcloud/**", "**/.config/gh/**", "**/.config/glab-cli/**", "**/.config/hub", "**/.config/op/**",
    "**/.config/rclone/**", "**/.config/doctl/**", "**/.config/hcloud/**", "**/.config/ngrok/**",
    "**/.config/github-copilot/**", "**/.config/pypoetry/**", "**/.config/containers/auth.json",
    "**/.config/sops/**", "**/.config/git/credentials", "**/.config/google-chrome/**", "**/.config/chromium/**",
    "**/.password-store/**", "**/.local/share/keyrings/**", "**/.mozilla/**", "**/.terraform.d/**", "**/.oci/**",
    "**/.helm/**", "**/.vnc/**", "**/.gem/credentials", "**/.cargo/credentials*", "**/.claude/.credentials*",
    "**/.codex/auth*", "**/.gemini/oauth*", "**/.m2/settings*.xml", "**/.gradle/gradle.properties", "**/.dbt/**",
    "**/.kaggle/**", "**/.databricks/**", "**/.snowsql/**", "**/.fly/**", "**/.cloudflared/**", "**/.ngrok2/**",
    "**/.secrets/**", "**/secrets/**", "**/.private/**", "**/private_keys/**", "**/private-keys/**",
    "/etc/shadow*", "/etc/gshadow*", "/etc/sudoers*", "/etc/ssl/private/**", "/proc/**/environ",
)  # fmt: skip

# What editors, tools and people put in front of or behind the name of a file when they keep or pack a copy of it.
_KEPT_IN_FRONT = re.compile(r"(?:\.?#|\._|copy of |(?:old|backup|bak|copy)[ ._-])(?=.)", re.IGNORECASE)
_SWAPPED = re.compile(r"\.(.+)\.sw[a-z]", re.IGNORECASE)
_KEPT_BEHIND = re.compile(
    r"(?:~|#|\.~\d+~|[ ._-]{0,3}\(\w{0,8} ?\d*\)|(?: -)? copy(?: \d+)?"
    r"|[._-](?:bak|bkp|backup|old|orig|original|save|saved|sw[a-z]|tmp|temp|copy|new|prev|last|rej|disabled|off|dist|txt"
    r"|gz|bz2|xz|zst|zip|tar|tgz|7z|rar|enc|age|asc|b64|base64|hex|\d[\d_.:T-]{0,24}Z?)\d{0,3})\Z",
    re.IGNORECASE,
)
_KEPT_TIMES = 4


def without_kept(name: str) -> str:
    """The name of the file that a file of this name may be a kept copy of; the name itself where it is none."""
    for _ in range(_KEPT_TIMES):
        before = name
        if swapped := _SWAPPED.fullmatch(name):
            name = swapped[1]
        if front := _KEPT_IN_FRONT.match(name):
            name = name[front.end() :]
        if behind := _KEPT_BEHIND.search(name, 1):
            name = name[: behind.start()]
        if name == before:
            break
    return name


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
    """Which paths hold secrets, by name alone. `patterns` as in SECRETS; built once per policy.

    Where no pattern says anything of a name, a kept copy (`NAME~`, `NAME.bak`, `.NAME.swp`, `NAME.gz`, …) is what the
    file is that it is a copy of.
    """

    def __init__(self, patterns: Sequence[str] = SECRETS, home: str = "") -> None:
        self.patterns = tuple(patterns)
        groups: list[tuple[bool, bool, list[str]]] = []  # (secret?, of the last component only?, expressions)
        inner = [pattern[2:] for pattern in self.patterns if pattern.startswith("./")]
        self._inner = [(_fixed(p), re.compile("/" + _expression(p), re.DOTALL | re.IGNORECASE)) for p in inner]
        outer = [pattern for pattern in self.patterns if not pattern.startswith("./")]
        for pattern in outer:
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
        by_path = [p.removeprefix("!") for p in outer if "/" in p.removeprefix("!").removeprefix("**/")]
        self._hints = [_fixed(pattern) for pattern in by_path]
        self._folders = {p[:-3].rpartition("/")[2].casefold() for p in outer if p.endswith("/**")}

    def near(self, folder: str) -> bool:
        """False only where no pattern with folders in it can match anything directly in `folder`."""
        parts = set(folder.casefold().split("/"))
        return any(hint is None or hint in parts for hint in self._hints)

    def by_name(self, name: str) -> bool:
        """As `in`, for a file in a folder that is not `near` anything."""
        if name.casefold() in self._folders:
            return True  # a file that has the name of a secret folder
        found = next((secret for secret, by_name, rx in self._groups if by_name and rx.match(name)), None)
        if found is None:
            kept = without_kept(name)
            found = kept != name and self.by_name(kept)
        return found

    def beneath(self, path: str) -> bool:
        """Whether a file holds secrets because of the folders between it and its root; `path` is relative to that."""
        folded = path.casefold()
        if not any((hint is None or hint in folded) and inner.match(f"/{path}") for hint, inner in self._inner):
            return False
        name = path.rpartition("/")[2]
        for secret, by_name, expression in self._groups:
            if expression.match(name if by_name else f"/{path}"):
                return secret
        return True

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
        kept = without_kept(name)
        return kept != name and f"{path[: len(path) - len(name)]}{kept}" in self


def _fixed(pattern: str) -> str | None:
    """A component without wildcards that every match of a pattern has among its folders; None for none."""
    folders = pattern.removeprefix("~/").strip("/").split("/")[:-1]
    return next((part.casefold() for part in folders if part and not set(part) & set("*?~")), None)


def inside(path: str, roots: Iterable[str]) -> bool:
    """True where `path` is one of `roots` or beneath one. Both real paths; whole components are compared."""
    for root in roots:  # many times for each decision: no generator
        if path.startswith(root) and (path == root or root.endswith("/") or path[len(root)] == "/"):
            return True
    return False


def absolute(folder: str, path: str) -> str:
    """`path` seen from `folder`, with nothing resolved: what the kernel would be asked."""
    return path if path.startswith("/") else f"{folder.rstrip('/')}/{path}"


def normal(path: str) -> str:
    """The path without `.`, doubled slashes and `..`, by text alone: only for shells' own `cd` and for messages."""
    if path.startswith("/") and "//" not in path and "/." not in path and not path.endswith("/"):
        return path  # most are
    return posixpath.normpath(path)


READABLE_DEVICES = frozenset(("/dev/null", "/dev/zero", "/dev/stdin", "/dev/fd/0"))
WRITABLE_DEVICES = frozenset(
    ("/dev/null", "/dev/stdout", "/dev/stderr", "/dev/fd/1", "/dev/fd/2", "/dev/zero", "/dev/full")
)


def is_network_device(path: str) -> bool:
    """bash's own names for sockets."""
    return bool(re.match(r"/+dev/+(tcp|udp)/", path))
