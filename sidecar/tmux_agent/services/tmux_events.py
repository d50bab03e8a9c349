"""What tmux servers tell, and which service hears of it.

Owns that order, and nothing else: a server comes or goes, something in it has changed, a key was pressed.
"""

from __future__ import annotations

import os

from .system import System
from .tmux.control import Compared, Connected, Dropped, Event, Lost, TmuxServer
from .tmux.signals import Chosen, Covered, Pressed, Retitled
from .tmux.watched import place_of
from .watching import TITLES


class TmuxEvents:
    """`heard` is told of every event, after identity knows of it."""

    def __init__(self, system: System) -> None:
        self._system = system

    def heard(self, server: TmuxServer, event: Event) -> None:
        system = self._system
        match event:
            case Connected():
                self._connected(server)
            case Lost():
                self._lost(server)
            case Pressed(key=key, client=client):
                self._pressed(server, key, client)
            case Chosen():
                system.spawn(system.wayfinder.chosen(server, event))
            case Covered(number=number) if system.showing.popups is not None:
                system.showing.popups.covered(server, number)
            case Compared(value=value):
                system.spawn(system.dialogs.titles(server, value))
            case Retitled():
                system.watching.told(server, TITLES)
            case Dropped() | Covered():
                pass
            case _:
                self._changed(server)

    def _connected(self, server: TmuxServer) -> None:
        system = self._system
        system.status_lines.connected(server)
        system.dialogs.forget(server)
        system.dialogs.changed(server)
        system.screens.changed(server)
        self._drop_closed_panes(server)
        system.limits.connected()
        system.spawn(self._look_at_panes(server))
        system.spawn(system.fleet.look(server))
        system.spawn(system.casts.look(server))
        system.spawn(system.task_panes.look(server))
        system.spawn(system.executions.connected(server))

    def _lost(self, server: TmuxServer) -> None:
        system = self._system
        system.status_lines.lost(server)
        system.dialogs.forget(server)
        system.wayfinder.forget(server)
        system.agents.pane_gone(server.socket)
        system.screens.lost(server)
        system.pipelines.lost(server.socket)
        system.spawn(system.sentry.left(server.socket, ()))
        system.spawn(system.fleet.lost(server.socket))
        system.spawn(system.casts.lost(server.socket))
        system.watch.set(server, ())
        system.executions.lost(server.socket)

    def _changed(self, server: TmuxServer) -> None:
        system = self._system
        self._drop_closed_panes(server)
        system.screens.changed(server)
        system.attention.changed()
        system.executions.changed(server)
        system.spawn(system.watching.look(server))
        system.spawn(system.fleet.look(server))
        system.spawn(system.casts.look(server))

    def _pressed(self, server: TmuxServer, key: str, client: str) -> None:
        system = self._system
        system.attention.looked()
        if key == "popup":
            system.showing.pressed(server, client)
        else:
            system.spawn(system.wayfinder.pressed(server, key, client))

    async def _look_at_panes(self, server: TmuxServer) -> None:
        system = self._system
        await system.wraps.look_again(lambda pid: system.identity.identify(pid, os.getuid()))
        await system.watching.look(server)

    def _drop_closed_panes(self, server: TmuxServer) -> None:
        system = self._system
        alive = {pane.id for pane in server.panes if not pane.dead}
        for agent in system.agents.list():
            if agent.server == server.socket and agent.pane and agent.pane not in alive:
                system.agents.pane_gone(server.socket, agent.pane)
        system.spawn(system.sentry.left(server.socket, [place_of(server, pane) for pane in server.panes]))
        system.show_badges()
