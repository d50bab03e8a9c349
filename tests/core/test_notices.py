"""What messages say and where they go: templates, hostile text, channels by name and tag, quiet hours. All pure."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.core import channels, config, redact, templates
from tmux_agent.core.channels import Channel, Escalation, Notify
from tmux_agent.core.message import Message
from tmux_agent.core.notice_text import BODY, TITLE, notice, together
from tmux_agent.core.secret import Secret
from tmux_agent.core.settings import Settings
from tmux_agent.core.spans import bad_time, in_time, seconds_left

PLAIN = Channel(kind="stdout")
FILE = """
notify:
  default: phone
  quiet: [22:00-07:00, sat-sun 00:00-23:59]
  channels:
    phone: {url: !secret ntfy_url, tags: [urgent, me], digest: 5m, title: "{source}: {title}"}
    team: {kind: wecom, variables: {WECOM_WEBHOOK: !secret team_hook}, tags: [me]}
  escalate:
  - {after: 5m, channels: team}
"""


def loaded(text: str) -> tuple[Notify | None, list[str]]:
    found, wrong = config.load(text, "config.yaml", Settings)
    return (found.notify if found else None), [str(one) for one in wrong]


def test_the_section_as_people_write_it() -> None:
    """Durations, secrets, tags, steps: typed."""
    found, wrong = loaded(FILE)
    assert wrong == []
    assert found is not None
    phone = found.channels["phone"]
    assert (phone.url, phone.digest, phone.tags) == (Secret("NTFY_URL"), 300.0, ("urgent", "me"))
    assert found.escalate == (Escalation(after=300.0, channels="team"),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("channels: {p: {tags: x}}", "needs one of url, command and kind"),
        ("channels: {p: {url: a, kind: slack}}", "needs one of url, command and kind"),
        ("channels: {p: {kind: wecm}}", "did you mean wecom?"),
        ("channels: {p: {url: a, title: '{titel}'}}", "did you mean title?"),
        ("channels: {p: {url: a, body: '{title.__class__}'}}", "which there is not"),
        ("channels: {p: {url: a, body: 'a } b'}}", "write }} for a brace"),
        ("channels: {slack: {url: a}}", "is no name for a channel"),
        ("channels: {url1: {url: a}}", "is no name for a channel"),
        ("channels: {p: {url: a, per_minute: 0}}", "per_minute"),
        ("channels: {p: {url: a, quiet: 7-8}}", "is not HH:MM-HH:MM"),
        ("quiet: night", "is not HH:MM-HH:MM"),
        ("default: fone", "there is no channel fone"),
        ("escalate: [{after: 1m, channels: nobody}]", "there is no channel nobody"),
        (
            "channels: {p: {kind: email, title: !secret x}}",
            "takes no secret; keys that do: notify.urls[], notify.channels",
        ),
    ],
)
def test_what_is_wrong_with_a_section_is_said_with_its_line(text: str, said: str) -> None:
    """Before anything is sent."""
    found, wrong = loaded(f"notify:\n  {text}\n")
    assert found is None
    assert said in wrong[0], wrong
    assert wrong[0].startswith("config.yaml:2: ")


def test_names_tags_and_the_default() -> None:
    """In the order of the file, each once; a built-in kind is a channel without being declared."""
    found, _ = loaded(FILE)
    assert found is not None
    assert channels.named(found, "me") == ("phone", "team")
    assert channels.named(found, "team, urgent,team") == ("team", "phone")
    assert channels.named(found, "wecom,local_bus") == ("wecom", "local_bus")
    assert channels.unknown(found, "me,fone") == ("fone",)
    assert "there is no channel fone (there are phone, team, me, urgent, stdout" in channels.known_words(
        found, ("fone",)
    )
    assert channels.default(found, {"NOTIFICATION_CHANNELS": "stdout"}) == "phone"
    bare = Notify(urls=("json://a", "json://b"), command=("x",))
    assert channels.default(bare, {}) == "url1,url2,command"
    assert channels.default(bare, {"NOTIFICATION_CHANNELS": "stdout,wechat_work"}) == "stdout,wechat_work"
    assert channels.named(bare, "urls") == ("url1", "url2")


def test_what_breaks_through_quiet_hours() -> None:
    """By severity or by urgency."""
    of = Message(title="x")
    assert not channels.through(Notify(), of)
    for loud in (msgspec.structs.replace(of, severity="failure"), msgspec.structs.replace(of, urgency="critical")):
        assert channels.through(Notify(), loud)
    assert not channels.through(Notify(quiet_urgency="critical"), msgspec.structs.replace(of, urgency="high"))


def test_times_of_the_week() -> None:
    """Over midnight, over the weekend, and how long it still lasts."""
    night = datetime(2024, 5, 3, 23, 30, 30, tzinfo=UTC)  # a Friday
    assert in_time(night, "22:00-07:00")
    assert not in_time(night, "07:00-22:00")
    assert seconds_left(night, ["22:00-07:00"]) == 7.5 * 3600 - 30
    assert seconds_left(night, ["22:00-07:00", "sat-sun 00:00-23:59"]) > 20 * 3600
    assert seconds_left(night, ["07:00-22:00"]) == 0
    assert seconds_left(night, ["00:00-23:59", "23:59-00:00"]) == 24 * 3600 - 30
    assert bad_time("7-8")
    assert not bad_time("mon-fri 09:00-18:00")


# --- texts -----------------------------------------------------------------------------------------


def test_templates_fill_names_and_nothing_else() -> None:
    """What is put in is not read again; double braces are braces."""
    values = {"title": "{body} {{x}}", "body": "b"}
    assert templates.fill("{{{title}}} {body}", values) == "{{body} {{x}}} b"


@given(st.text(max_size=80), st.text(max_size=80), st.sampled_from(["{title}", "{body}: {title}", "x {{}} {source}"]))
def test_any_text_is_harmless(title: str, body: str, template: str) -> None:
    """No controls, no line of its own in the title, no call to everybody, bounded."""
    told = notice(Message(title=title, body=body), Channel(kind="stdout", title=template))
    assert "\n" not in told.title
    assert all(char.isprintable() or char in "\n\t" for char in told.title + told.body)
    assert not any(call in (told.title + told.body).lower() for call in ("@everyone", "@here", "@channel", "<!", "<@"))


def test_hostile_and_long_texts() -> None:
    """Secrets out, mentions dead, escapes named, length bounded."""
    redact.know(["an-unguessable-value"])
    told = notice(
        Message(
            title="\x1b[31m@everyone <!channel> an-unguessable-value " + "x" * 5000,
            body="line\nanother <@U123>\n" + "y" * 100_000,
            url="https://h/?token=ghp_0123456789abcdefghijklmnopqrstuvwxyzABCD",
        ),
        PLAIN,
    )
    assert told.title.startswith("⟨U+001B⟩[31m＠everyone ‹!channel> [redacted]")
    assert len(told.title) <= TITLE
    assert len(told.body) <= BODY + 10
    assert told.body.startswith("line\nanother ‹@U123>")
    assert "ghp_" not in told.body + told.url


def test_several_are_one() -> None:
    """Worst first in the count, titles as the channel's template has them, and how many are not shown."""
    many = [Message(title=f"m{n}", severity="failure" if n == 3 else "info", source="s") for n in range(25)]
    told = together(many, Channel(kind="stdout", title="{source}/{title}"))
    assert told.title == "25 messages: 1 failure, 24 info"
    assert told.body.splitlines()[0] == "· s/m0"
    assert told.body.splitlines()[-1] == "· and 5 more"
    assert told.severity == "failure"
    assert together(many[:1], PLAIN).title == "m0"


def test_the_document_has_every_key() -> None:
    """docs/notifications.md names each key of the section and of a channel."""
    text = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()
    for kind in (Notify, Channel, Escalation, Message):
        for field in msgspec.structs.fields(kind):
            assert f"`{field.name}`" in text, field.name
