"""The services of one sidecar, built in order: what each is given, and what joins them.

Owns that, and what is unwell. Must not own: anything that one service can do by itself; when they begin and end
(lifecycle.py), who hears of what (tmux_events.py, telling.py), what is read again (reloading.py).
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..core import notice_text, recording, redact
from ..core.model import Event
from ..core.pipeline_run import Place
from ..core.settings import Queue as Room
from . import own_log
from . import places as places_
from .agent_rows import AgentRows
from .agents import Agents
from .answer_files import AnswerFiles
from .answers import Answers
from .approvals import Approvals
from .attention import Attention
from .backup_times import BackupTimes
from .casts import Casts
from .chats import Chats
from .config_file import read_settings
from .dialogs import Dialogs
from .executions import Executions
from .fleet import Fleet
from .fleet_files import FleetFiles
from .following import Following
from .grants import Grants
from .guard import Guard
from .identity import Identity
from .journal import Journal
from .judgement import Judgement
from .kept_rules import KeptRules
from .ledger import Heard
from .limits import Limits
from .link_keys import LinkKeys
from .links import Links
from .measuring import Measuring
from .notify import Notify
from .once import Once
from .pausing import Pausing
from .pipeline_acts import Acts
from .pipeline_files import PipelineFiles
from .pipeline_watch import Followers
from .pipelines import Pipelines
from .plans import Plans
from .proofs import Proofs
from .queue import TaskQueue
from .queue_acts import QueueActs
from .queue_logs import QueueLogs
from .queue_panes import QueuePanes
from .queue_sessions import QueueSessions
from .refusals import Refusals
from .resuming import Resuming
from .screen_answers import ScreenAnswers
from .screen_files import ScreenFiles
from .screens import Screens
from .secrets import Secrets
from .senders import Senders
from .sentry import Sentry
from .showing import Showing
from .status_line import StatusLines, ascii_only
from .tasks import Tasks
from .tmux import badge
from .tmux.messages import say
from .tmux.popups import Opening
from .tmux.servers import Servers
from .tmux.watch import Watch
from .toolbox import Toolbox
from .trusted import Trusted
from .typist import Typist
from .watching import PROGRAMS, Watching
from .wayfinder import Wayfinder
from .wraps import Wraps

if TYPE_CHECKING:
    from .checks.follow import Checks

log = logging.getLogger(__name__)

PACKAGE = Path(__file__).parents[1]
RELAY = PACKAGE / "edges" / "ui" / "relay.py"
RECENT = 50
ANEW_SECONDS = 60.0  # begun anew once a minute at the most: where the disk is bad, that does not help


class System:
    """Its attributes are the services. Everything on it runs in the event loop. Made by lifecycle.begin."""

    def __init__(self, environ: Mapping[str, str], places: places_.Places) -> None:
        self.environ = environ
        self.places = places
        self.pid = os.getpid()
        self.stop = asyncio.Event()
        self.begun_anew = False  # after damage to the state database
        self.begin_anew = False  # after the stop: it is damaged, and a backup is used then
        self._started = time.monotonic()
        self.began = float(environ.get("TMUX_AGENT_BEGAN") or time.time())  # its keeper's, which read the code
        self.tasks = Tasks()
        self.spawn = self.tasks.spawn
        self.recent: deque[Heard] = deque(maxlen=RECENT)  # decisions, for people who look back
        self.http_wrong = ""  # why the HTTP listener does not listen though it should
        self.settings, self.settings_wrong = read_settings(places.config / "config.yaml", environ)
        own_log.use(self.settings.log_level, self.settings.log_format)
        self.secrets = Secrets(places, environ)
        self.secrets_wrong = self.secrets.problems()
        self._build_records()
        self._build_judgement()
        self._build_screens()
        self._build_answers()
        self._build_clients()
        self._build_pipelines()
        self._build_watching()
        self._build_fleet()
        self._build_queue()

    def _build_records(self) -> None:
        """The journal, and what it is told and remembers."""
        places, settings = self.places, self.settings
        self.journal = Journal(
            places.database,
            places.audit(settings.audit.file),
            rotate_bytes=settings.audit.rotate_bytes,
            health=self._health_changed,
        )
        self.backups = BackupTimes(self.journal, places.database, lambda: self.settings.state, self.show_badges)
        self.agents = Agents(self.journal)
        self.grants = Grants(self.journal, own=self.agents.own)
        self.approvals = Approvals(self.journal, self.grants, limit=settings.limits.pending_per_origin)
        self.measuring = Measuring(
            settings.metrics, self.journal, self.agents, self.approvals, places.database, self.warnings
        )
        self.plans = Plans(self.journal)
        self.limits = Limits(self.journal, self.agents, self.spawn, self.environ)
        self.agent_rows = AgentRows(self.journal, self.agents, self.spawn)
        senders = Senders(places, self.secrets, lambda line: log.info("notification: %s", line))
        self.notify = Notify(self.journal, self.approvals, self.secrets, senders, changed=self.show_badges)

    def _build_judgement(self) -> None:
        """Who asks, what the policy says to it, and what is done then."""
        places, environ = self.places, self.environ
        self.judgement = Judgement(
            folder=places.config,
            state=places.state,
            home=environ.get("HOME") or str(Path.home()),
            environ=environ,
            protected=self._protected(),
            hidden=places.hidden,
            roots=self.settings.root_dir,
            background=True,
            tried=True,
        )
        plain = ascii_only(environ)
        self.identity = Identity()
        self.servers = Servers(self.identity, badge.died(ascii_only=plain), places.served)
        self.status_lines = StatusLines(self.servers, self.agents, self.approvals, self.warnings, ascii_only=plain)
        self.toolbox = Toolbox(self.judgement, self.servers, self.settings, places.backups)
        self.kept = KeptRules(places.config)
        self.guard = Guard(self.judgement, self.journal, self.approvals, self.grants, self.toolbox)

    def _protected(self) -> tuple[str, ...]:
        """What nobody but the person may change, besides policy and state: log, approval files, socket, plugin."""
        places = self.places
        ours = (places.audit(self.settings.audit.file), places.approvals(self.settings.answers.folder),
                places.socket, places.spare_socket, places.data, PACKAGE)  # fmt: skip
        return tuple(str(path) for path in ours)

    def _build_screens(self) -> None:
        """What stands on the screens of panes: dialogs, and usage limits."""
        self.screen_files = ScreenFiles(self.places.config / "screens")
        self.dialogs = Dialogs(self.screen_files, self.agents, self.approvals, self.spawn)
        self.screens = Screens(
            self.screen_files, self.agents, self.approvals, self.guard, self.identity, self.servers.refresh, self.spawn
        )
        self.resuming = Resuming(self.screens, self.agents, self.limits, self.guard, lambda: self.settings.resume.text)
        self.limits.rule = self.settings.resume
        self.limits.look = self.screens.program
        self.limits.reaches = self.screens.serves
        self.limits.tell = lambda agent: self.notify.say(notice_text.limited(agent))
        self.screens.limited = self.limits.noticed
        self.toolbox.resume = self.resuming.run

    def _build_answers(self) -> None:
        """The doors that answers come through, besides the popup."""
        places, settings, home = self.places, self.settings, self.judgement.home
        self.refusals = Refusals(self.journal, self.say_to_all, self.show_badges, self.spawn)
        self.answers = Answers(
            self.judgement, self.journal, self.approvals, self.grants, self.toolbox, self.kept,
            Proofs(self.journal, self.refusals.no_answer), ScreenAnswers(self.screens, self.journal),
        )  # fmt: skip
        self.answer_files = AnswerFiles(
            places.approvals(settings.answers.folder), self.approvals, self.answers, self.refusals.no_answer,
            self.spawn, home,
        )  # fmt: skip
        self.links = Links(
            LinkKeys(places.link_keys, self.secrets), self.approvals, self.answers, self.refusals.no_answer,
            self.identity, home,
        )  # fmt: skip
        self.links.switch(settings.answers)
        self.chats = Chats(self.approvals, self.answers, self.refusals.no_answer, self.secrets, home)
        self.chats.switch(settings.chat)

    def _build_clients(self) -> None:
        """What comes up over the tmux client that a person looks at."""
        self.pausing = Pausing()
        self.showing = Showing(self.identity, self.servers, self.spawn)
        self.wayfinder = Wayfinder(self.agents, self.approvals, self.showing.open, self.pausing.is_paused)
        self.attention = Attention(self.servers, self.approvals, self.identity, self.showing.open, self.showing.is_open)
        self.notify.looks_at = self.attention.looks_at

    def _build_pipelines(self) -> None:
        """Pipelines, the agents that `wrap` told of, and the markers that both tell."""
        once = Once(self.guard, self.approvals, self.toolbox, self.servers)
        self.typist = Typist(once, self.servers, self.agents, self.screens)
        self.acts = Acts(self.guard, self.servers, self.notify, once, self.typist)
        self.pipelines = Pipelines(
            PipelineFiles(self.places.config / "pipelines"),
            self.journal,
            self.acts,
            Followers(lambda: self.checks, self.acts),
            lambda place: self.watch.lines(place),
            self.spawn,
        )
        self.wraps = Wraps(self.journal, self.spawn)
        self.pipelines.signs = self.wraps.signs
        self.agents.named, self.agents.tier = self.wraps.project, self.wraps.tier
        self.sentry = Sentry(
            self.journal, self.guard, self.pipelines, self.servers, self.wraps, self.spawn, self.approvals
        )

    def _build_watching(self) -> None:
        """What panes print: who reads it, records it, and has something run there."""
        self.watch = Watch(
            self.places.state / "fifos",
            self.journal,
            self.sentry.heard,
            self._printed,
            self._wants_lines,
            self.sentry.kept,
            self.spawn,
            self.identity.now(),
        )
        self.watching = Watching(
            self.journal, self.watch, self.pipelines, self.agents, self.servers, self.wraps, self.spawn
        )
        self.casts = Casts(
            self.places.casts, lambda: self.settings.casts, self.watch, self.watching, self.servers, self.journal,
            self.spawn,
        )  # fmt: skip
        self.screens.wrote = lambda server: self.watching.told(server, PROGRAMS)
        self.executions = self.toolbox.executions = Executions(
            self.journal, self.servers, self.watch, self.watching, lambda: self.settings, self.spawn,
            lambda: self.judgement.policy.environment,
        )  # fmt: skip
        self.toolbox.following = Following(self.watch, self.watching, lambda: self.settings)

    def _build_fleet(self) -> None:
        self.trusted = Trusted(self.places.state)
        files = FleetFiles(self.places.config, self.trusted)
        self.fleet = Fleet(
            self.journal, self.servers, self.identity, self.typist, self.pausing, self.casts, files,
            self.judgement.home, self.spawn,
        )

    def _build_queue(self) -> None:
        """Tasks, whose agents are the fleet's, and who hears what those tell."""
        logs = QueueLogs(self.places.queue)
        sessions = QueueSessions(self.servers)
        self.task_acts = QueueActs(
            self.guard, self.fleet, self.servers, sessions, logs, lambda: self.queue.state, self._room
        )
        self.queue = TaskQueue(self.journal, self.task_acts, self._room, self.spawn)
        self.task_panes = QueuePanes(
            self.queue, self.task_acts, logs, self.agents, self.approvals, self.servers, sessions, self.watch,
            self.watching, self.pipelines.signed, self.spawn,
        )  # fmt: skip
        self.queue.started = self.task_panes.catch_up
        self.watching.tasks = self.task_panes.places
        self.sentry.also, self.sentry.also_kept = self.task_panes.said, self.queue.kept
        self.measuring.queue = lambda: self.queue.state

    def _room(self) -> Room:
        room = self.settings.queue
        folders = {os.path.expanduser(name): most for name, most in room.per_repository.items()}
        return msgspec.structs.replace(room, per_repository=folders)

    def _printed(self, place: Place, text: str, notices: tuple[str, ...]) -> None:
        """A watched pane has printed these lines, and its program has sent these notifications."""
        self.pipelines.printed(place, text, notices)
        self.task_panes.printed(place, text)
        if text and self.journal.output_wanted:
            data = {"server": place.server, "pane": place.pane, "text": redact.redact_text(text)}
            self.journal.note(Event(type=recording.PRINTED, data=data))

    def _wants_lines(self, place: Place) -> bool:
        return self.pipelines.wants_lines(place) or self.journal.output_wanted or self.task_panes.wants_lines(place)

    @cached_property
    def checks(self) -> Checks:
        """Made, and imported, by the first who waits for something: most never do."""
        from .checks.follow import Checks

        return Checks(self.journal, self.secrets, self.environ, address=lambda: self.links.address)

    def listening(self, socket: Path, opening: Callable[[Opening], None]) -> None:
        """Where the socket is: relays of popups are told to connect there, and `opening` hears of each popup.

        Again where it has moved.
        """
        self.showing.listening((os.path.realpath(sys.executable), "-I", "-S", str(RELAY), str(socket)), opening)
        self.write_on_unavailable()

    def write_on_unavailable(self) -> None:
        """What agents' hooks are to do while no sidecar runs."""
        places_.write_whole(self.places.on_unavailable, self.judgement.policy.defaults.on_unavailable + "\n")

    def uptime(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    # --- what people are told ---

    async def say_to_all(self, text: str) -> None:
        """Over the status line of everybody who is attached."""
        for server in self.servers.all():
            await say(server, [one.name for one in server.clients if not one.control], text)

    def show_badges(self) -> None:
        """Put what there is to say on every status line."""
        self.status_lines.show()

    def warnings(self) -> list[str]:
        """One short sentence for each thing that is wrong; empty when all is well."""
        refused = "somebody who may not tried to act as the operator (`tmux-agent audit tail`)"
        told: tuple[tuple[str, Iterable[object]], ...] = (
            ("policy", self.judgement.errors),
            ("config", self.settings_wrong),
            ("secrets", self.secrets_wrong),
            ("screens", self.screen_files.errors),
            ("pipelines", self.pipelines.files.errors),
            ("approval files", [self.answer_files.wrong]),
            ("links", [self.links.problem]),
            ("chat", [self.chats.problem]),
            ("http", [self.http_wrong]),
            ("audit", [self.journal.unwell, *self.journal.warnings]),
            ("state", [*self.journal.losses, self.backups.wrong]),
            ("metrics", [self.measuring.wrong]),
            ("notify", [self.notify.status if self.notify.status not in ("off", "ok") else ""]),
            ("refused", [refused if self.refusals.lately else ""]),
        )
        return [f"{what}: {wrong}" for what, found in told for wrong in found if wrong]

    def _health_changed(self) -> None:
        """What can be recorded has changed; where the database was found damaged, the next sidecar uses a backup."""
        self.show_badges()
        if self.journal.damaged and not (self.begun_anew and self.uptime() < ANEW_SECONDS):
            self.begin_anew = True
            self.stop.set()
