"""The person of `demo --auto` and `record_demo`: a real tmux client on a pty, read and typed at as a person does it.

Owns which keys are pressed and what must come of them; each expectation has a name and is printed as it is met or not.
Must not own: what is started and ended (demo_stage.py), the asking (demo-agent).
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from demo_stage import Stage
from tests.plugin.terminal import Terminal

COLUMNS, ROWS = 110, 34
LETTERS = 30  # that are typed while something is looked at
PATIENCE = 60.0  # seconds for one thing to come; all of it takes a few
PREFIX, END, CLEAR_LINE, SUBMIT, PAGE_UP = "\x02", "\x05", "\x15", "\x13", "\x1b[5~"
PAINTED, QUIET = "? more", 0.1  # the popup's last words; seconds without anything new on the screen
TOO_SOON = "new under your finger"  # the popup takes no answer to what has just moved there
REASON = "never pipe the network into a shell"
EDITED = ["git", "commit", "-am", "Round totals to cents"]
CHOICE = "Virginia"


class Missing(Exception):
    """Something that everything after it needs did not come."""


class Auto:
    """One run. `seat` gives what the person's terminal runs once the stage is open, where that is not a client of its
    tmux; `pace`: seconds that the person looks before they press something."""

    def __init__(self, stage: Stage, seat: Callable[[], Sequence[str]] | None = None, *, pace: float = 0.0) -> None:
        self._stage = stage
        self._seat = seat
        self._pace = pace
        self._held: list[bool] = []

    def run(self) -> int:
        """0 where every expectation was met."""
        self._stage.open(COLUMNS, ROWS)
        argv = self._seat() if self._seat else self._stage.tmux_argv("attach-session")
        with Terminal(argv, columns=COLUMNS, rows=ROWS, env=self._stage.environ) as terminal:
            self._terminal = terminal
            try:
                self._answer_all()
                self._check_what_came()
            except Missing as why:
                self._expect(str(why), False, f"{terminal.text()}\n{self._stage.said()}")
        good = all(self._held)
        print(f"\n{sum(self._held)} of {len(self._held)} held" + ("" if good else ": something is wrong"))
        return 0 if good else 1

    # --- pressing keys, reading the screen ---

    def _press(self, *keys: str) -> None:
        """As a person does: some time after they saw it, and text letter by letter."""
        if self._pace:
            time.sleep(self._pace)
            for key in keys:
                time.sleep(self._pace / LETTERS)
                self._terminal.press(key)
        else:
            self._terminal.press(*keys)

    def _answer_all(self) -> None:
        text = self._wait("⏸4", "the status line says that four wait")
        self._expect("a read-only command was allowed without asking", "look" in text)
        self._press(PREFIX, "A")
        self._wait("4 waiting", "prefix + A opens the popup")
        text = self._see(lambda screen: PAINTED in screen, "the popup is painted to its end")
        while self._terminal.read(QUIET):
            pass  # the relay drops what was pressed before its first paint was out
        show("prefix + A", text)
        self._approve_the_edit()
        self._deny_the_cleaning()
        self._change_the_commit()
        self._choose_the_region()
        text = self._wait("Nothing", "nothing waits any more")
        show("afterwards", text)
        self._press("q")
        text = self._wait("all five are answered", "the agent went on")
        time.sleep(2 * self._pace)
        show("the agent's pane", text)

    def _approve_the_edit(self) -> None:
        text = self._wait("round(total, 2)", "the edit is shown as a diff")
        self._expect("the diff shows what goes", "return total" in text)
        self._answer("a", "approved", "the edit is approved")

    def _deny_the_cleaning(self) -> None:
        text = self._wait("setup.sh | sh", "the dangerous line is shown whole")
        self._expect("and called high risk", "high" in text)
        show("the dangerous one", text)
        self._answer("d", "The reason goes to the agent", "d asks for a reason")
        self._press(*REASON)
        self._wait(REASON, "the reason stands there")
        self._press("\r")
        self._wait("denied", "it is denied")

    def _change_the_commit(self) -> None:
        self._wait("git commit -am wip", "the commit is shown")
        self._answer("e", "Ctrl-S", "e opens an editor")
        self._press(END, CLEAR_LINE, *json.dumps(EDITED))
        self._wait(EDITED[-1], "the new words stand there")
        self._press(SUBMIT)
        text = self._wait("approve this", "the changed command is judged and shown")
        show("edited", text)
        self._press("a")
        self._wait("approved as edited", "it is approved as edited")

    def _choose_the_region(self) -> None:
        text = self._wait(CHOICE, "the question shows its options")
        show("a question", text)
        self._answer("2", "answered", "2 chooses the second option")

    def _answer(self, key: str, then: str, name: str) -> None:
        """Presses `key` until the popup takes it: what has just moved under the finger is not answered."""
        while True:
            self._press(key)
            text = self._see(lambda screen: then in screen or TOO_SOON in screen, name)
            if then in text:
                self._expect(name, True)
                return
            self._press(PAGE_UP)  # any key takes the message away; this one moves nothing else
            self._see(lambda screen: TOO_SOON not in screen, name)

    def _wait(self, text: str, name: str) -> str:
        screen = self._see(lambda screen: text in screen, name)
        self._expect(name, True)
        return screen

    def _see(self, holds: Callable[[str], bool], name: str) -> str:
        try:
            return self._terminal.wait(holds, PATIENCE, name)
        except AssertionError:
            raise Missing(name) from None

    # --- what came of it ---

    def _check_what_came(self) -> None:
        told = [json.loads(line) for line in self._stage.told.read_text().splitlines()]
        print("\nwhat the agent received")
        for one in told:
            print("  " + json.dumps(one, ensure_ascii=False))
        by_name = {one["name"]: one for one in told}
        self._check_answers(by_name)
        self._check_shop()
        self._check_log()

    def _check_answers(self, told: dict[str, dict[str, Any]]) -> None:
        self._expect("the agent got what its command printed", "A shop" in told["look"]["data"].get("stdout", ""))
        self._expect("the agent got the diff of its edit", "+    return round" in told["edit"]["data"].get("diff", ""))
        clean = told["clean"]
        self._expect("the agent was denied, with the reason", REASON in clean["error"] + str(clean["data"]))
        self._expect("the agent's changed command was run", told["commit"]["data"].get("exit_code") == 0)
        self._expect("the agent got the option chosen", told["region"]["data"].get("choice") == CHOICE)

    def _check_shop(self) -> None:
        shop = self._stage.shop
        self._expect("the file is as it was approved", "round(total, 2)" in (shop / "prices.py").read_text())
        log = ["git", "log", "-1", "--format=%s"]
        subject = subprocess.run(log, cwd=shop, env=self._stage.environ, capture_output=True, text=True, check=False)
        self._expect("what ran is what was shown after the edit", subject.stdout.strip() == EDITED[-1], subject.stdout)

    def _check_log(self) -> None:
        answers = self._stage.agent_command("audit", "export", "--type", "approval.answered").stdout.splitlines()
        self._expect("every answer is on record, and came from the popup", from_popup(answers) == 4, "\n".join(answers))
        verified = self._stage.agent_command("audit", "verify")
        self._expect("the audit chain verifies", verified.returncode == 0, verified.stdout + verified.stderr)
        for words in (("audit", "tail"), ("audit", "verify")):
            print(f"\n$ tmux-agent {' '.join(words)}\n{self._stage.agent_command(*words).stdout.rstrip()}")

    def _expect(self, name: str, held: bool, seen: str = "") -> None:
        self._held.append(held)
        print(f"{'✓' if held else '✗'} {name}", flush=True)
        if not held and seen:
            show("what was there instead", seen)


def from_popup(answers: list[str]) -> int:
    """How many records of answers say that a popup gave them."""
    return sum('"door":"popup"' in answer.replace(" ", "") for answer in answers)


def show(title: str, text: str) -> None:
    """The screen as text, in a frame."""
    print(f"\n╭─ {title} {'─' * (COLUMNS - len(title) - 1)}╮")
    for line in text.splitlines():
        print(f"│ {line}")
    print(f"╰{'─' * (COLUMNS + 2)}╯\n", flush=True)
