"""One sidecar from its first to its last moment: what an earlier one left is taken up, all begins, all ends in reverse.

Owns that order. Must not own: which services there are (system.py), the socket (daemon.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from . import reloading
from .places import Places
from .system import System
from .telling import Telling
from .tmux_events import TmuxEvents

EVENTS = 10_000  # that may come in one turn of the loop: all that one group of the journal holds


async def begin(environ: Mapping[str, str], places: Places) -> System:
    """All services, with what an earlier sidecar left taken up. Raises Unavailable."""
    system = System(environ, places)
    telling = Telling(system)
    system.servers.heard = TmuxEvents(system).heard
    system.limits.resume = telling.resume_by_rule
    await system.journal.start()
    try:
        await _take_up(system, telling)
        heard = await system.journal.subscribe(limit=EVENTS)
    except BaseException:
        await system.journal.close()
        raise
    system.spawn(telling.follow(heard))
    system.backups.start()
    system.measuring.start(heard, system.spawn, system.show_badges)
    system.queue.begin()
    system.spawn(system.task_panes.drop_orphans())
    return system


async def _take_up(system: System, telling: Telling) -> None:
    await system.grants.recover()
    await system.approvals.recover()
    await system.guard.recover()
    await system.plans.recover()
    await system.wraps.recover(system.identity.lives)
    await system.agent_rows.recover(system.identity.lives)
    await system.limits.recover(system.identity.lives)
    for approval in system.approvals.pending():
        telling.agent_asks(approval)
    reloading.tell_of_policy(system, system.judgement.load())
    system.screen_files.load()
    system.screens.start()
    reloading.load_pipelines(system)
    await system.watch.start()
    await system.watching.recover()
    await system.casts.recover()
    await system.executions.recover()
    await system.pipelines.recover()
    await system.fleet.recover()
    system.sentry.recover()
    await system.queue.recover()
    system.notify.use(reloading.notified(system))
    await system.notify.recover()
    system.answer_files.switch(system.settings.answers.files)


async def end(system: System) -> None:
    """In reverse. What waits for a person stays pending."""
    system.approvals.stopping = True
    await system.backups.close()
    await system.showing.close()
    await system.wayfinder.close()
    system.attention.close()
    await system.status_lines.close()
    system.pipelines.close()
    system.queue.close()
    system.watching.close()
    await system.casts.close()
    system.wraps.close()
    system.executions.close()
    await system.watch.close()
    await system.servers.close()
    await system.notify.close()
    system.answer_files.close()
    system.agents.close()
    system.limits.close()
    system.screens.close()
    await system.agent_rows.flush()
    await system.tasks.close()
    await system.approvals.close()
    await system.journal.close()
