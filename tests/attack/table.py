"""`python -m tests.attack.table`: writes the table of attacks into docs/security.md."""

from __future__ import annotations

from pathlib import Path

from tests.attack.attacks import ATTACKS, Outcome

BEGIN, END = "<!-- attacks -->", "<!-- end of attacks -->"
WORDS: dict[Outcome, str] = {
    "refused": "refused, recorded",
    "popup": "the popup opens, for you",
    "shows": "not stopped, recorded",
    "works": "**not stopped**",
}


def table() -> str:
    rows = [f"| {one.does} | {WORDS[one.baseline]} | fails |" for one in ATTACKS]
    return "\n".join(("| a hostile agent … | without | in the sandbox |", "|---|---|---|", *rows))


if __name__ == "__main__":
    docs = Path(__file__).parents[2] / "docs" / "security.md"
    text = docs.read_text()
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    docs.write_text(f"{text[:begin]}\n\n{table()}\n\n{text[end:]}")
