"""The services of one sidecar, built in order and closed in reverse.

Owns what joins them: which event reaches whom (badge, notifications), tmux servers and their popups, reloading,
warnings. Must not own: anything that one service can do by itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..core import channels, config, display, errors, guardrails, notice_text, recording, redact
from ..core.model import Agent, Approval, Event, Origin
from ..core.pipeline_run import Place
from ..core.queue_task import Clock
from ..core.replies import ReloadData
from ..core.settings import Queue as Room
from ..core.wording import one_line
from . import own_log, status_line
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
from .tmux import badge
from .tmux.control import Compared, Connected, Dropped, Lost, TmuxServer
from .tmux.control import Event as TmuxEvent
from .tmux.messages import say
from .tmux.popups import Opening, Popups, Wanted
from .tmux.servers import Servers
from .tmux.signals import Chosen, Covered, Pressed, Retitled
from .tmux.snapshot import Pane
from .tmux.watch import Watch, place_of
from .toolbox import Toolbox
from .trusted import Trusted
from .typist import Typist
from .watching import PROGRAMS, TITLES, Watching
from .wayfinder import Wayfinder
from .wraps import Wraps

if TYPE_CHECKING:
    from .checks.follow import Checks

log = logging.getLogger(__name__)

PACKAGE = Path(__file__).parents[1]
RELAY = PACKAGE / "edges" / "ui" / "relay.py"
RECENT = 50
EVENTS = 10_000  # that may come in one turn of the loop: all that one group of the journal holds
ENDINGS = ("approval.answered", "approval.expired", "approval.withdrawn")
SAYS = (3, 3)  # first version of tmux that shows a message to the client that we name
ANEW_SECONDS = 60.0  # begun anew once a minute at the most: where the disk is bad, that does not help


class System:
    """Made by `build`; its attributes are the services. Everything on it runs in the event loop."""

    def __init__(self, environ: Mapping[str, str], places: places_.Places) -> None:
        self.environ = environ
        self.places = places
        self.pid = os.getpid()
        self.stop = asyncio.Event()
        self.begun_anew = False  # after damage to the state database
        self.begin_anew = False  # after the stop: it is damaged, and a backup is used then
        self._started = time.monotonic()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.recent: deque[Heard] = deque(maxlen=RECENT)  # decisions, for people who look back
        self._badges: dict[str, badge.Badge] = {}
        self.http_wrong = ""  # why the HTTP listener does not listen though it should
        self.settings, self.settings_wrong = read_settings(places.config / "config.yaml", environ)
        own_log.use(self.settings.log_level, self.settings.log_format)
        self.secrets = Secrets(places, environ)
        self._secrets_wrong = self.secrets.problems()
        limits = self.settings.limits
        self.journal = Journal(
            places.database,
            places.audit(self.settings.audit.file),
            rotate_bytes=self.settings.audit.rotate_bytes,
            health=self._health_changed,
        )
        self.backups = BackupTimes(self.journal, places.database, lambda: self.settings.state, self.show_badges)
        self.agents = Agents(self.journal)
        self.grants = Grants(self.journal, own=self.agents.own)
        self.approvals = Approvals(self.journal, self.grants, limit=limits.pending_per_origin)
        self.measuring = Measuring(
            self.settings.metrics, self.journal, self.agents, self.approvals, places.database, self.warnings
        )
        self.plans = Plans(self.journal)
        self.limits = Limits(self.journal, self.agents, self.spawn, environ)
        self.agent_rows = AgentRows(self.journal, self.agents, self.spawn)
        senders = Senders(places, self.secrets, lambda line: log.info("notification: %s", line))
        self.notify = Notify(self.journal, self.approvals, self.secrets, senders, changed=self.show_badges)
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
        self.identity = Identity()
        self.servers = Servers(self.identity, badge.died(ascii_only=not _utf8(environ)), self._on_tmux, places.served)
        self.toolbox = Toolbox(self.judgement, self.servers, self.settings, places.backups)
        self.kept = KeptRules(places.config)
        self.guard = Guard(self.judgement, self.journal, self.approvals, self.grants, self.toolbox)
        self.screen_files = ScreenFiles(places.config / "screens")
        self.dialogs = Dialogs(self.screen_files, self.agents, self.approvals, self.spawn)
        self.screens = Screens(
            self.screen_files, self.agents, self.approvals, self.guard, self.identity, self.servers.refresh, self.spawn
        )
        self.resuming = Resuming(self.screens, self.agents, self.limits, self.guard, lambda: self.settings.resume.text)
        self._join_limits()
        self.refusals = Refusals(self.journal, self._say_to_all, self.show_badges, self.spawn)
        self.answers = Answers(
            self.judgement, self.journal, self.approvals, self.grants, self.toolbox, self.kept,
            Proofs(self.journal, self.refusals.no_answer), ScreenAnswers(self.screens, self.journal),
        )  # fmt: skip
        self.answer_files = AnswerFiles(
            places.approvals(self.settings.answers.folder), self.approvals, self.answers, self.refusals.no_answer,
            self.spawn, self.judgement.home,
        )  # fmt: skip
        self.links = Links(
            LinkKeys(places.link_keys, self.secrets), self.approvals, self.answers, self.refusals.no_answer,
            self.identity, self.judgement.home,
        )  # fmt: skip
        self.links.switch(self.settings.answers)
        self.chats = Chats(self.approvals, self.answers, self.refusals.no_answer, self.secrets, self.judgement.home)
        self.chats.switch(self.settings.chat)
        self.popups: Popups | None = None  # once it is known where we listen
        self.pausing = Pausing()
        self.wayfinder = Wayfinder(self.agents, self.approvals, self.open_popup, self.pausing.is_paused)
        self.attention = Attention(self.servers, self.approvals, self.identity, self.open_popup, self._shows_popup)
        self.notify.looks_at = self.attention.looks_at
        self._build_pipelines()

    def _build_pipelines(self) -> None:
        """What panes print, and the pipelines that it moves."""
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
            self.journal, self.servers, self.watch, self.watching, lambda: self.settings, self.spawn
        )
        self.toolbox.following = Following(self.watch, self.watching, lambda: self.settings)

        self.trusted = Trusted(self.places.state)
        files = FleetFiles(self.places.config, self.trusted)
        self.fleet = Fleet(
            self.journal, self.servers, self.identity, self.typist, self.pausing, files, self.judgement.home, self.spawn
        )
        self._build_queue()

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

    def _join_limits(self) -> None:
        self.limits.rule = self.settings.resume
        self.limits.look = self.screens.program
        self.limits.reaches = self.screens.serves
        self.limits.resume = self._resume_by_rule
        self.limits.tell = lambda agent: self.notify.say(notice_text.limited(agent))
        self.screens.limited = self.limits.noticed
        self.toolbox.resume = self.resuming.run

    @cached_property
    def checks(self) -> Checks:
        """Made, and imported, by the first who waits for something: most never do."""
        from .checks.follow import Checks

        return Checks(self.journal, self.secrets, self.environ, address=lambda: self.links.address)

    def _protected(self) -> tuple[str, ...]:
        """What nobody but the person may change, besides policy and state: log, approval files, socket, plugin."""
        places = self.places
        ours = (places.audit(self.settings.audit.file), places.approvals(self.settings.answers.folder),
                places.socket, places.spare_socket, places.data, PACKAGE)  # fmt: skip
        return tuple(str(path) for path in ours)

    @classmethod
    async def build(cls, environ: Mapping[str, str], places: places_.Places) -> System:
        """All services, with what an earlier sidecar left taken up. Raises Unavailable."""
        system = cls(environ, places)
        await system.journal.start()
        try:
            await system.grants.recover()
            await system.approvals.recover()
            await system.guard.recover()
            await system.plans.recover()
            await system.wraps.recover(system.identity.lives)
            await system.agent_rows.recover(system.identity.lives)
            await system.limits.recover(system.identity.lives)
            for approval in system.approvals.pending():
                system._agent_asks(approval)
            system._told_of_policy(system.judgement.load())
            system.screen_files.load()
            system.screens.start()
            system._load_pipelines()
            await system.watch.start()
            await system.watching.recover()
            await system.casts.recover()
            await system.executions.recover()
            await system.pipelines.recover()
            await system.fleet.recover()
            system.sentry.recover()
            await system.queue.recover()
            system.notify.use(system._notified())
            await system.notify.recover()
            system.answer_files.switch(system.settings.answers.files)
            heard = await system.journal.subscribe(limit=EVENTS)
        except BaseException:
            await system.journal.close()
            raise
        system.spawn(system._follow(heard))
        system.backups.start()
        system.measuring.start(heard, system.spawn, system.show_badges)
        system.queue.begin()
        system.spawn(system.task_panes.drop_orphans())
        return system

    def listening(self, socket: Path, opening: Callable[[Opening], None]) -> None:
        """Where the socket is: popups are opened from now on, relays told where to connect, `opening` of each popup.

        Again where it has moved.
        """
        relay = (os.path.realpath(sys.executable), "-I", "-S", str(RELAY), str(socket))
        if self.popups is None:
            self.popups = Popups(relay, self.identity.now, opening)
        else:
            self.popups.moved(relay)
        places_.write_whole(self.places.on_unavailable, self.judgement.policy.defaults.on_unavailable + "\n")

    async def close(self) -> None:
        """In reverse. What waits for a person stays pending."""
        self.approvals.stopping = True
        await self.backups.close()
        if self.popups is not None:
            await self.popups.close()
        await self.wayfinder.close()
        self.attention.close()
        await asyncio.gather(*(one.close() for one in self._badges.values()))
        self.pipelines.close()
        self.queue.close()
        self.watching.close()
        await self.casts.close()
        self.wraps.close()
        self.executions.close()
        await self.watch.close()
        await self.servers.close()
        await self.notify.close()
        self.answer_files.close()
        self.agents.close()
        self.limits.close()
        self.screens.close()
        await self.agent_rows.flush()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.approvals.close()
        await self.journal.close()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Let something go on by itself; its defect is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            level = logging.WARNING if isinstance(error, errors.TmuxAgentError) else logging.ERROR
            log.log(level, "%s", error, exc_info=None if isinstance(error, errors.TmuxAgentError) else error)

    def uptime(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    # --- what is unwell ---

    def warnings(self) -> list[str]:
        """One short sentence for each thing that is wrong; empty when all is well."""
        found = [f"policy: {error}" for error in self.judgement.errors]
        found += [f"config: {wrong}" for wrong in self.settings_wrong]
        found += [f"secrets: {wrong}" for wrong in self._secrets_wrong]
        found += [f"screens: {wrong}" for wrong in self.screen_files.errors]
        found += [f"pipelines: {wrong}" for wrong in self.pipelines.files.errors]
        if self.answer_files.wrong:
            found.append(f"approval files: {self.answer_files.wrong}")
        if self.links.problem:
            found.append(f"links: {self.links.problem}")
        if self.chats.problem:
            found.append(f"chat: {self.chats.problem}")
        if self.http_wrong:
            found.append(f"http: {self.http_wrong}")
        if self.journal.unwell:
            found.append(f"audit: {self.journal.unwell}")
        found += [f"audit: {warning}" for warning in self.journal.warnings]
        found += [f"state: {loss}" for loss in self.journal.losses]
        if self.backups.wrong:
            found.append(f"state: {self.backups.wrong}")
        if self.measuring.wrong:
            found.append(f"metrics: {self.measuring.wrong}")
        if self.notify.status not in ("off", "ok"):
            found.append(f"notify: {self.notify.status}")
        if self.refusals.lately:
            found.append("refused: somebody who may not tried to act as the operator (`tmux-agent audit tail`)")
        return found

    def _health_changed(self) -> None:
        """What can be recorded has changed; where the database was found damaged, the next sidecar uses a backup."""
        self.show_badges()
        if self.journal.damaged and not (self.begun_anew and self.uptime() < ANEW_SECONDS):
            self.begin_anew = True
            self.stop.set()

    # --- files ---

    async def reload(self) -> ReloadData:
        """Read the policy and config.yaml again; the last good ones stay where they are wrong."""
        settings, wrong = read_settings(self.places.config / "config.yaml", self.environ, self.settings)
        self.settings, self.settings_wrong = settings, wrong
        self._secrets_wrong = self.secrets.problems()
        own_log.use(settings.log_level, settings.log_format)
        self.toolbox.settings = settings
        self.backups.start()
        self.judgement.roots = settings.root_dir
        self.limits.changed(settings.resume)
        self.queue.tell(Clock())  # there may be more room
        problems = self.judgement.load()
        self.notify.use(self._notified())
        self.answer_files.switch(settings.answers.files)
        self.links.switch(settings.answers)
        self.chats.switch(settings.chat)
        self._told_of_policy(problems)
        places_.write_whole(self.places.on_unavailable, self.judgement.policy.defaults.on_unavailable + "\n")
        self.show_badges()
        unread = (*self.screen_files.load(), *self._load_pipelines())
        self.screens.look_again()
        for server in self.servers.all():
            self.spawn(self.watching.look(server))
        found = tuple(str(one) for one in (*problems, *wrong, *unread))
        return ReloadData(errors=found, rules=len(self.judgement.policy.rules))

    def _load_pipelines(self) -> tuple[config.ConfigError, ...]:
        return self.pipelines.files.load(self.judgement.policy.pipelines, self.judgement.file)

    def _notified(self) -> channels.Notify:
        """Who is told of approvals: as the policy says, else as config.yaml does."""
        return self.judgement.policy.notify or self.settings.notify

    def _told_of_policy(self, problems: tuple[config.ConfigError, ...]) -> None:
        if problems:
            event = Event(type="policy.error", data={"errors": [str(one) for one in problems]})
        else:
            rules = len(self.judgement.policy.rules)
            event = Event(type="policy.loaded", data={"file": self.judgement.file, "rules": rules})
        self.spawn(self.journal.publish(event))

    # --- tmux ---

    async def attach_tmux(self, socket: str) -> TmuxServer:
        """Serve a tmux server. Raises InvalidParams, Unavailable."""
        return await self.servers.attach(socket)

    def _on_tmux(self, server: TmuxServer, event: TmuxEvent) -> None:
        if isinstance(event, Pressed):
            self.attention.looked()
        match event:
            case Connected():
                self._badges.setdefault(server.socket, badge.Badge(server, ascii_only=not _utf8(self.environ))).forget()
                self.dialogs.forget(server)
                self.dialogs.changed(server)
                self.screens.changed(server)
                self._drop_closed_panes(server)
                self.limits.connected()
                self.spawn(self._look_at_panes(server))
                self.spawn(self.fleet.look(server))
                self.spawn(self.casts.look(server))
                self.spawn(self.task_panes.look(server))
                self.spawn(self.executions.connected(server))
            case Pressed(key="popup", client=client):
                self._pressed(server, client)
            case Pressed(key=key, client=client):
                self.spawn(self.wayfinder.pressed(server, key, client))
            case Chosen():
                self.spawn(self.wayfinder.chosen(server, event))
            case Covered(number=number) if self.popups is not None:
                self.popups.covered(server, number)
            case Lost():
                self._badges.pop(server.socket, None)
                self.dialogs.forget(server)
                self.wayfinder.forget(server)
                self.agents.pane_gone(server.socket)
                self.screens.lost(server)
                self.pipelines.lost(server.socket)
                self.spawn(self.sentry.left(server.socket, ()))
                self.spawn(self.fleet.lost(server.socket))
                self.spawn(self.casts.lost(server.socket))
                self.watch.set(server, ())
                self.executions.lost(server.socket)
            case Compared(value=value):
                self.spawn(self.dialogs.titles(server, value))
            case Retitled():
                self.watching.told(server, TITLES)
            case Dropped() | Covered():
                pass
            case _:
                self._drop_closed_panes(server)
                self.screens.changed(server)
                self.attention.changed()
                self.executions.changed(server)
                self.spawn(self.watching.look(server))
                self.spawn(self.fleet.look(server))
                self.spawn(self.casts.look(server))

    async def _look_at_panes(self, server: TmuxServer) -> None:
        await self.wraps.look_again(lambda pid: self.identity.identify(pid, os.getuid()))
        await self.watching.look(server)

    def _drop_closed_panes(self, server: TmuxServer) -> None:
        alive = {pane.id for pane in server.panes if not pane.dead}
        for agent in self.agents.list():
            if agent.server == server.socket and agent.pane and agent.pane not in alive:
                self.agents.pane_gone(server.socket, agent.pane)
        self.spawn(self.sentry.left(server.socket, [place_of(server, pane) for pane in server.panes]))
        self.show_badges()

    def _pressed(self, server: TmuxServer, client: str) -> None:
        """Not as a task: popups are told of keys and of what covers clients in tmux's order."""
        if self.popups is None:
            return
        around = self.identity.around(server.socket, client)
        if around and server.version >= SAYS:  # else the popup comes, and says why nobody answers in it
            text = f"this tmux runs in a pane ({around}), where agents can type: press the prefix of the tmux around it"
            self.spawn(say(server, [client], text))
            return
        try:
            self.popups.pressed(server, client)
        except errors.NotFound as why:
            log.warning("no popup: %s", why)

    def open_popup(self, server: TmuxServer, client: str, wanted: Wanted) -> bool:
        """Open the popup on a client; False where it is open there. Raises NotFound."""
        if self.popups is None:
            raise errors.Unavailable("the sidecar does not listen yet: try again")
        return self.popups.open(server, client, wanted)

    def _shows_popup(self, server: TmuxServer, client: str) -> bool:
        return self.popups is not None and self.popups.is_open(server, client)

    async def panes(self, server: TmuxServer) -> list[dict[str, Any]]:
        """The panes of a server with the agent and its state where one runs there."""
        agents = {one.pane: one for one in self.agents.list() if one.server == server.socket}

        async def describe(pane: Pane) -> dict[str, Any]:
            agent = agents.get(pane.id)
            return {
                **msgspec.to_builtins(pane),
                "current_path": await _said(server, pane, "#{pane_current_path}"),
                "current_command": await _said(server, pane, "#{pane_current_command}"),
                "paused": self.pausing.is_paused(pane.pid),
                "agent": agent.kind if agent else None,
                "state": agent.state.value if agent else None,
            }

        return list(await asyncio.gather(*map(describe, server.panes)))

    def client_for(self, origin: Origin) -> tuple[TmuxServer, str]:
        """The tmux client that looks at the caller's pane, else the one used last. Raises NotFound, Unavailable."""
        server = self.servers.choose(None, origin)
        people = [one for one in server.clients if not one.control]
        if not people:
            raise errors.NotFound(f"nobody is attached to tmux at {server.socket}")
        session = next((pane.session for pane in server.panes if pane.id == origin.pane), "")
        looking = [one for one in people if one.session == session] or people
        return server, max(looking, key=lambda one: one.activity).name

    # --- what is told to people ---

    async def _follow(self, heard: Any) -> None:
        async for one in heard:
            try:
                self._tell(one)
            except Exception:  # a defect of ours: the next event is to be told all the same
                log.exception("nobody was told of record %s", one.seq)

    def _tell(self, heard: Heard) -> None:
        event = heard.event
        log.debug("%s, record %d, request %s", event.type, heard.seq, event.request_id or "–")
        self.measuring.take(heard)
        self.task_panes.heard(event)
        if event.type in ENDINGS or (event.type == "decision" and event.data["verdict"] != "ask"):
            self.recent.append(heard)
        if event.type in ENDINGS:
            self.agents.settled(event.request_id)
            self.answer_files.settled(event.request_id)
        if event.type == "approval.opened":
            try:
                approval = self.approvals.get(event.request_id)
                self.notify.told(approval, self.links.url_for(approval))
                self.attention.opened(approval)
                self.answer_files.opened(approval)
                self._agent_asks(approval)
            except errors.NotFound:
                pass  # it was answered within the same turn of the loop: nobody needs to hear of it
        if gone := event.data.get("gone"):
            self.spawn(self.dialogs.gone(event.data["agent"]["session"], gone))
        if event.type == "agent.state":
            self.limits.heard(event.data["agent"]["session"])
        if event.type == "decision" and event.data["rule"] == guardrails.ANSWERING:
            self.refusals.warn()
        if event.type == "approval.answered" and event.origin and event.origin.door != "popup":
            self.spawn(self._say_to_all(f"answered outside the popup: {event.request_id}, by {_whom(event.origin)}"))
        if event.type.startswith(("approval.", "agent.")):
            for server in self.servers.all():
                self.dialogs.changed(server)
        if event.type.startswith(("approval.", "agent.", "policy.", "refused", "notify.", "sidecar.", "audit.")):
            self.show_badges()

    async def _resume_by_rule(self, agent: Agent) -> None:
        """A person hears of it where it did not work: they count on it."""
        try:
            await self.resuming.by_rule(agent)
            self.agents.remark(agent.session, "told to go on", "by the rule in config.yaml")
        except errors.TmuxAgentError as why:
            self.agents.remark(agent.session, "not told to go on", why.message)
            where = agent.place or agent.pane
            said = f"{agent.kind} in {where} could not be told to go on after its usage limit: {why.message}"
            log.warning("%s", said)
            self.notify.say(notice_text.not_resumed(agent, why.message))
            await self._say_to_all(display.safe(said))

    def _agent_asks(self, approval: Approval) -> None:
        """Its agent waits, whoever waits for the answer: a hook (which has said so before) or a guarded call."""
        if approval.origin.door in ("pipeline", "marker", "chat"):
            return  # no agent's, though it may be in an agent's pane
        session = approval.origin.session if approval.hook_key else self.agents.session_of(approval.origin)
        self.agents.asks(session, approval.request_id, display.safe(one_line(approval.action)[:200]))

    async def _say_to_all(self, text: str) -> None:
        for server in self.servers.all():
            await say(server, [one.name for one in server.clients if not one.control], text)

    def show_badges(self) -> None:
        """Put what there is to say on every status line."""
        pending, agents = self.approvals.pending(), self.agents.list()
        counts = status_line.counts(agents, pending, self.warnings())
        for server in self.servers.all():
            if one := self._badges.get(server.socket):
                one.show(counts, status_line.windows(server, agents, pending))


def _whom(origin: Origin) -> str:
    if origin.through:
        return f"{origin.door} {origin.through}"
    return f"{origin.exe.rpartition('/')[2] or 'a process'} (pid {origin.pid}) on {origin.tty or 'no terminal'}"


async def _said(server: TmuxServer, pane: Pane, what: str) -> str:
    """A text that a program in the pane chose freely; "" where the pane is gone."""
    try:
        return "\n".join(await server.foreign("display-message", "-p", "-t", pane.id, what))
    except errors.Failed:
        return ""


def _utf8(environ: Mapping[str, str]) -> bool:
    """Whether the locale says UTF-8; a sidecar without any locale takes it that terminals do."""
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or "UTF-8"
    return "utf" in locale.lower()
