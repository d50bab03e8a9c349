"""core/redact.py: secrets go, everything else stays, in linear time."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmux_agent.core.redact import _RULES, MARK, _innocent, redact, redact_text

S = "Zk3v9QpX7LmN2aB8cD4eF6gH1jK5rT0w"  # stands for any secret
A = S + S

SECRETS = [
    ("aws", "AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ("aws secret", f"aws_secret_access_key = {S}", S),
    ("github", f"ghp_{S}", S),
    ("github fine", f"x github_pat_11AB_{S} y", S),
    ("gitlab", f"glpat-{S}", S),
    ("slack", f"xoxb-123456789012-{S}", S),
    ("npm", f"npm_{S}abcd", S),
    ("npmrc", f"//registry.example/:_authToken={S}", S),
    ("pypi", f"pypi-AgEIcHlwaS5vcmc{A}", S),
    ("openai", f"key is sk-proj-{S}", S),
    ("anthropic", f"sk-ant-api03-{S}-{S}AA", S),
    ("google", f"AIzaSy{S}", S),
    ("google oauth", f"ya29.{S}", S),
    ("stripe", f"sk_live_{S}", S),
    ("jwt", f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{S}", S),
    ("jwt in json", f'{{"x":"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{S}"}}', S),
    ("pem", f"a\n-----BEGIN RSA PRIVATE KEY-----\nMII{S}\n{S}\n-----END RSA PRIVATE KEY-----\nb", S),
    ("pem escaped", f'{{"k":"-----BEGIN PRIVATE KEY-----\\nMII{S}\\n-----END PRIVATE KEY-----\\n"}}', S),
    ("pem cut in the middle", f"-----BEGIN PRIVATE KEY-----\nMII\n… 99 bytes left out …\n{S}\n", S),
    ("pem without its begin", f"MII{S}\n{S}\n-----END OPENSSH PRIVATE KEY-----\n", S),
    ("header", f"Authorization: Bearer {S}", S),
    ("header basic", "curl -H 'Authorization: Basic dXNlcjpwYXNz' x", "dXNlcjpwYXNz"),
    ("header in json", '{"Authorization":"token hunter2"}', "hunter2"),
    ("bare bearer", f"sent Bearer {S}", S),
    ("cookie", f"Cookie: sid={S}; theme=dark", S),
    ("set-cookie", f"< Set-Cookie: sid={S}; Path=/", S),
    ("url", "git clone https://bob:hunter2@example.com/x.git", "hunter2"),
    ("url with @", "postgres://bob:hunt@er2@db/x", "er2"),
    ("url token", f"https://{S}@example.com/x", S),
    ("query", f"https://example.com/?access_token={S}&page=2", S),
    ("signature", f"https://example.com/x?X-Amz-Signature={S}", S),
    ("slack hook", f"https://hooks.slack.com/services/T0/B0/{S}", S),
    ("option =", "mysql --password=hunter2 -h db", "hunter2"),
    ("option space", "mysql --password hunter2 -h db", "hunter2"),
    ("option quoted", "tool --api-key 'hunt er2' x", "er2"),
    ("assignment", "FOO_TOKEN=hunter2 ./run", "hunter2"),
    ("export quoted", 'export DB_PASSWORD="hunt er\\"2"', "er"),
    ("short name", "DB_PASS=hunter2 x", "hunter2"),
    ("yaml", "  password: hunter2\n", "hunter2"),
    ("json", '{"api_key": "hunter2"}', "hunter2"),
    ("json in json", '"{\\"api_key\\": \\"hunter2\\", \\"page\\": 1}"', "hunter2"),
    ("python", "client_secret='hunter2'", "hunter2"),
    ("numeric password", "password=12345678", "12345678"),
    ("curl -u", "curl -u bob:hunter2 https://example.com", "hunter2"),
    ("sshpass", "sshpass -p hunter2 ssh x", "hunter2"),
    ("login -p", "docker login -u bob -p hunter2", "hunter2"),
    ("mysql -p", "mysqldump -u root -phunter2 db", "hunter2"),
    ("netrc", "machine x\n  login bob\n  password hunter2\n", "hunter2"),
    ("camel", "accessToken: hunter2", "hunter2"),
    ("yaml block", "db:\n  password: |\n    hunter2\n    hunter2\n  user: bob", "hunter2"),
    ("yaml folded", "api_key: >2-  # as given\n    hunter2", "hunter2"),
    ("yaml blank lines", "token: |\n\n  x\n\n  hunter2\nuser: bob", "hunter2"),
    ("yaml block in a diff", " a: b\n+password: |\n+  hunter2\n", "hunter2"),
    ("yaml block in JSON", '{"content": "password: |\\n  hunter2\\n"}', "hunter2"),
    ("yaml windows", "password: |\r\n  hunter2\r\n", "hunter2"),
    ("yaml list", "passwords:\n  - abcdef\n  - hunter2", "hunter2"),
    ("yaml next line", "token:\n    hunter2", "hunter2"),
    ("yaml tag", "token: !!str hunter2", "hunter2"),
    ("yaml anchor", "secret: &a hunter2", "hunter2"),
    ("triple quotes", 'PASSWORD = """\nhunter2\n"""', "hunter2"),
    ("triple quotes in a line", "password = '''hunter2'''", "hunter2"),
    ("terraform", "password = <<EOT\nhunter2\nEOT\n", "hunter2"),
    ("list", 'token = ["hunter2"]', "hunter2"),
    ("list of lines", 'tokens = [\n  "hunter2",\n]', "hunter2"),
    ("continued", "export TOKEN=\\\nhunter2", "hunter2"),
    ("name and value", '[{"name": "DB_PASSWORD", "value": "hunter2"}]', "hunter2"),
    ("kubernetes", "- name: DB_PASSWORD\n  value: hunter2\n", "hunter2"),
    ("xml", "<db><password>hunter2</password></db>", "hunter2"),
    ("xml attributes", '<add key="password" value="hunter2"/>', "hunter2"),
    ("npm", "_auth=hunter2", "hunter2"),
    ("openssl", "openssl enc -pass pass:hunter2", "hunter2"),
    ("redis", "redis-cli -h x -a hunter2", "hunter2"),
    ("upper", "AUTHORIZATION: BEARER HUNTER2", "HUNTER2"),
]


@pytest.mark.parametrize(("text", "secret"), [case[1:] for case in SECRETS], ids=[case[0] for case in SECRETS])
def test_shapes_go(text: str, secret: str) -> None:
    """A secret is gone, the mark stands there, and a second pass changes nothing."""
    clean = redact_text(text)
    assert secret not in clean
    assert MARK in clean
    assert redact_text(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "3f786850e387550fdab836ed7e6dc881de23001b",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b\nAuthor: Bob <bob@example.com>",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "550e8400-e29b-41d4-a716-446655440000",
        "01JD3QZ8W9V5K2M4N6P7R8S9T0",
        "/home/bob/src/shop/node_modules/.bin/very-long-tool-name-2.0/index.js",
        "aGVsbG8gd29ybGQsIHRoaXMgaXMgb3JkaW5hcnkgdGV4dA==",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4",
        "tokens: 5, max_tokens=100, tokens_used: 99",
        "the password of the day and a secret garden",
        "password_file=/run/keys/db and key=value",
        "git commit -m 'fix: token refresh'",
        "docker run -u 1000:1000 x",
        "if token == other: pass",
        "token = os.environ['X']",
        "password: str = None",
        'TOKEN="$GITHUB_TOKEN" PASSWORD=${X}',
        "sk-estimator-html-doc-link-container",
        "npm_config_registry_and_other_long_names",
        "https://example.com:8080/a@b ssh://git@example.com/x",
        "basic internationalization of bearer bonds",
        "risk-assessment-of-the-very-long-name-1",
        "std::token::Token::parse",
        "class Token:\n    name: str\n",
        "    if token:\n        advance()\n",
        "secrets:\n  db:\n    user: bob\n",
        "<h1>The password</h1> <token/>",
        'password=""',
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    ],
)
def test_innocent_text_stays(text: str) -> None:
    """Hashes, ids, paths, code and prose are not touched."""
    assert redact_text(text) == text


def test_a_url_keeps_its_host() -> None:
    """Only the password goes, also where its user name ends in a word that announces one."""
    assert (
        redact_text(f"https://x-access-token:ghs_{S}@example.com/a") == f"https://x-access-token:{MARK}@example.com/a"
    )


def test_by_key_name() -> None:
    """Names of keys decide, in any case and spelling, for everything below; ordinary names and numbers stay."""
    value = {
        "password": "a",
        "apiKey": "b",
        "API-KEY": "c",
        "clientSecret": ["d", {"x": "e"}],
        "X-Auth-Token": "f",
        "Set-Cookie": "g",
        "private_key": "h",
        "pwd": 1234,
        "tokens_used": 5,
        "token": 7,
        "secret": None,
        "tokenType": "i",
        "path": "j",
        "keys": ["k"],
        "password_file": "l",
        "authorization": "",
        "n": 1.5,
        "ok": True,
    }
    assert redact(value) == {
        "password": MARK,
        "apiKey": MARK,
        "API-KEY": MARK,
        "clientSecret": [MARK, {"x": MARK}],
        "X-Auth-Token": MARK,
        "Set-Cookie": MARK,
        "private_key": MARK,
        "pwd": MARK,
        "tokens_used": 5,
        "token": 7,
        "secret": None,
        "tokenType": "i",
        "path": "j",
        "keys": ["k"],
        "password_file": "l",
        "authorization": "",
        "n": 1.5,
        "ok": True,
    }


def test_a_value_beside_its_name() -> None:
    """The name that stands beside a value decides, as in a container's environment."""
    assert redact({"name": "DB_PASSWORD", "value": S}) == {"name": "DB_PASSWORD", "value": MARK}
    assert redact({"name": "EDITOR", "value": "vi"}) == {"name": "EDITOR", "value": "vi"}


def test_argv() -> None:
    """An option's value goes whole although argv puts it apart or it holds characters that end a word in text."""
    assert redact(["mysql", "--password", "a b(c", "-h", "db"]) == ["mysql", "--password", MARK, "-h", "db"]
    assert redact(["x", "--password=a&b(c"]) == ["x", f"--password={MARK}"]
    assert redact(("env", "FOO_TOKEN=a b;c", "run")) == ("env", f"FOO_TOKEN={MARK}", "run")
    assert redact(["curl", "-u", "bob:hunter2"]) == ["curl", "-u", f"bob:{MARK}"]
    assert redact(["docker", "login", "-p", "hunter2", "x"]) == ["docker", "login", "-p", MARK, "x"]
    assert redact(("/usr/bin/mysql", "-phunter2", "db")) == ("/usr/bin/mysql", f"-p{MARK}", "db")
    assert redact(["mkdir", "-p", "a"]) == ["mkdir", "-p", "a"]
    assert redact(["tool", "--token", "--verbose"]) == ["tool", "--token", "--verbose"]


def test_too_deep_goes_whole() -> None:
    """What is nested too deep to look at is replaced, not let through and not an error."""
    value: object = "ghp_" + S
    for _ in range(5000):
        value = [value]
    assert S not in repr(redact(value)[0][0])[:5000]


def test_keys_are_text_too() -> None:
    """A secret used as a key's name goes as well."""
    assert redact({f"ghp_{S}": 1}) == {MARK: 1}


PIECES = st.sampled_from(
    [case[1] for case in SECRETS]
    + [
        "password",
        "token",
        "=",
        ":",
        " ",
        '"',
        "'",
        "\\",
        "\n",
        "-",
        "--",
        "eyJ",
        ".",
        "://",
        "@",
        "a",
        "(",
        MARK,
        "-u",
        "1",
    ]
    + ["|", "\n  ", "value: ", '"""', "#"]
    + ["-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "Authorization", "Bearer", "sk-", ",", "ghp_", "/"]
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=12).map("".join))


@given(TEXTS)
@settings(max_examples=600)
def test_idempotent(text: str) -> None:
    """Redacting twice is redacting once, for any text."""
    once = redact_text(text)
    assert redact_text(once) == once


@given(TEXTS)
@settings(max_examples=400, deadline=None)
def test_fast_path_is_one_sided(text: str) -> None:
    """The check that skips the rules never skips text that a rule would change."""
    if _innocent(text, text.lower()):
        for rule in _RULES:
            assert rule.pattern.sub(rule.into, text) == text, rule.pattern.pattern


@given(
    st.recursive(st.none() | st.integers() | st.booleans() | TEXTS, lambda v: st.lists(v) | st.dictionaries(TEXTS, v))
)
@settings(max_examples=100, deadline=None)
def test_any_value(value: object) -> None:
    """No value raises, and values too are stable under a second pass."""
    once = redact(value)
    assert redact(once) == once


@pytest.mark.parametrize(
    "piece",
    [
        "eyJ",
        "eyJa.",
        "sk-",
        "sk-1",
        "ghp_",
        "://",
        "://a:",
        "://a:b@",
        "token",
        "token=",
        "token='",
        'token="',
        'token=\\"',
        "password ",
        "--password ",
        "a-",
        "--a-a-a-",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "-----END ",
        "-----BEGIN ",
        "a\n",
        "authorization:",
        "authorization: bearer ",
        "basic ",
        "bearer a",
        "cookie:",
        "login a ",
        "-u a",
        "-u ",
        "login ",
        "mysql ",
        "login a -p",
        "SG.a",
        "token=a(",
        "\\",
        "sig=",
        "secret :",
        "sshpass ",
        "sg.",
        "hooks.slack.com/services/",
        "xoxb-",
        "token: |\n",
        "token:\n ",
        "token: |\n  a\n",
        'token = """\n',
        "token: <<E\n",
        "name: token\n",
        "<token>",
        "<token ",
        "token: & ",
        "pass:",
        "redis-cli ",
        "redis-cli -a",
        "+- ",
    ],
)
def test_linear_time(piece: str) -> None:
    """Four times the hostile text costs about four times the time, never sixteen; half a mebibyte is tried."""
    hints = " password= token= ://x -u login authorization bearer "
    short = (piece * (1 << 17))[: 1 << 17] + hints
    long = (piece * (1 << 19))[: 1 << 19] + hints
    ratio = 0.0
    for _ in range(3):  # a busy machine is forgiven twice
        ratio = _seconds(long) / max(_seconds(short), 0.002)
        if ratio < 8:
            return
    pytest.fail(f"{ratio:.1f} times the time for 4 times the text")


def _seconds(text: str) -> float:
    start = time.process_time()
    redact_text(text)
    return time.process_time() - start


def test_rules_name_their_hints() -> None:
    """Every example is found although each rule runs only where its hints are: hints are lower case and non-empty."""
    for rule in _RULES:
        assert rule.hints
        assert all(hint and hint == hint.lower() for hint in rule.hints)
        assert not re.search(r"(?<!\\)\.\*", rule.pattern.pattern)
