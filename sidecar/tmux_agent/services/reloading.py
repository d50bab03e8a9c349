"""What a person writes, read again: config.yaml, the policy, screens and pipelines; and who has to know of it.

Must not own: what a file may say (core/), which files there are (the services that load them).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..core.channels import Notify
from ..core.config import ConfigError
from ..core.model import Event
from ..core.queue_task import Clock
from ..core.replies import ReloadData
from . import own_log
from .config_file import read_settings
from .system import System


async def reload(system: System) -> ReloadData:
    """Read all of it again; the last good ones stay where they are wrong."""
    wrong = _settings(system)
    problems = system.judgement.load()
    system.notify.use(notified(system))
    system.answer_files.switch(system.settings.answers.files)
    system.links.switch(system.settings.answers)
    system.chats.switch(system.settings.chat)
    tell_of_policy(system, problems)
    system.write_on_unavailable()
    system.show_badges()
    unread = (*system.screen_files.load(), *load_pipelines(system))
    system.screens.look_again()
    for server in system.servers.all():
        system.spawn(system.watching.look(server))
    found = tuple(str(one) for one in (*problems, *wrong, *unread))
    return ReloadData(errors=found, rules=len(system.judgement.policy.rules))


def _settings(system: System) -> tuple[str, ...]:
    settings, wrong = read_settings(system.places.config / "config.yaml", system.environ, system.settings)
    system.settings, system.settings_wrong = settings, wrong
    system.secrets_wrong = system.secrets.problems()
    own_log.use(settings.log_level, settings.log_format)
    system.toolbox.settings = settings
    system.backups.start()
    system.judgement.roots = settings.root_dir
    system.limits.changed(settings.resume)
    system.queue.tell(Clock())  # there may be more room
    return wrong


def load_pipelines(system: System) -> tuple[ConfigError, ...]:
    return system.pipelines.files.load(system.judgement.policy.pipelines, system.judgement.file)


def notified(system: System) -> Notify:
    """Who is told of approvals: as the policy says, else as config.yaml does."""
    return system.judgement.policy.notify or system.settings.notify


def tell_of_policy(system: System, problems: Sequence[ConfigError]) -> None:
    """Record that the policy was read, or why it was not."""
    if problems:
        event = Event(type="policy.error", data={"errors": [str(one) for one in problems]})
    else:
        rules = len(system.judgement.policy.rules)
        event = Event(type="policy.loaded", data={"file": system.judgement.file, "rules": rules})
    system.spawn(system.journal.publish(event))
