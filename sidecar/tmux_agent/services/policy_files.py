"""Policy files on disk: the layers, in order, and which repository's file the person trusts.

Owns where they are and reading them. Must not own what they add up to (core/policy_build.py).
Layers: the person's policy.yaml (instead of the shipped one), policy.d/*.yaml in name order, then the repository's
.tmuxagent/policy.yaml, which only tightens until the person trusted that very file.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from ..core import config
from ..core.config import ConfigError
from ..core.policy_build import Layer
from ..core.policy_file import PolicyFile
from .observe import read_regular
from .trusted import Trusted

PROJECT_FILE = ".tmuxagent/policy.yaml"
_FILE_LIMIT = 1 << 20


class PolicyFiles:
    """`folder` holds policy.yaml and policy.d, `state` the list of trusted files; as for Judgement.

    `quick`: the examples of the shipped policy are not tried, which is half of a sidecar's start after its imports.
    """

    def __init__(
        self, folder: Path, state: Path, policy_file: Path | None = None, *, own_files: bool = True, quick: bool = False
    ) -> None:
        self._folder = folder
        self._trusted = Trusted(state)
        self._file = policy_file or folder / "policy.yaml"
        self._given = policy_file is not None
        self._own_files = own_files
        self._quick = quick
        self.source = ""  # where the policy came from, as last read

    def read(self) -> tuple[list[Layer], tuple[ConfigError, ...]]:
        """All layers but the repository's, and every error in them."""
        layers: list[Layer] = []
        errors: list[ConfigError] = []
        self.source = "shipped policy.yaml"
        if self._given or (self._own_files and os.path.lexists(self._file)):
            self.source = str(self._file)
            self._add(self._file, layers, errors)
        else:
            self._add_text(shipped_text(), self.source, layers, errors)
        more = sorted((self._folder / "policy.d").glob("*.yaml")) if self._own_files else []
        for path in more:
            self._add(path, layers, errors)
        return layers, tuple(errors)

    def _add(self, path: Path, layers: list[Layer], errors: list[ConfigError], *, tightens: bool = False) -> None:
        data = read_regular(str(path), _FILE_LIMIT)
        if data is None:
            errors.append(ConfigError(str(path), 0, "", "cannot be read as a file of at most 1 MiB"))
            return
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as why:
            errors.append(ConfigError(str(path), 0, "", f"is not UTF-8 at byte {why.start}"))
            return
        self._add_text(text, str(path), layers, errors, tightens=tightens)

    def _add_text(
        self, text: str, label: str, layers: list[Layer], errors: list[ConfigError], *, tightens: bool = False
    ) -> None:
        file, wrong = config.load(text, label, PolicyFile)
        errors.extend(wrong)
        if file is not None:
            examples = not (self._quick and text == shipped_text())
            layers.append(Layer(file=file, label=label, tightens=tightens, examples=examples))

    def project(self, path: Path) -> tuple[Layer | None, tuple[ConfigError, ...]]:
        """A repository's own layer."""
        layers: list[Layer] = []
        errors: list[ConfigError] = []
        self._add(path, layers, errors, tightens=not self.is_trusted(path))
        errors += [wrong for layer in layers for wrong in not_for_repositories(layer.file, layer.label)]
        return (layers[0] if layers and not errors else None), tuple(errors)

    def is_trusted(self, path: Path) -> bool:
        """True where the person trusted this file with just this content."""
        return self._trusted.holds(path)

    def trust(self, path: Path) -> str:
        """Trust a repository's policy file as it is now; gives its hash. Raises OSError. Only for the
        person's own use."""
        return self._trusted.add(path)


def not_for_repositories(file: PolicyFile, label: str) -> tuple[ConfigError, ...]:
    """What is wrong with a file only because it is a repository's, trusted or not."""
    said = "is not for a repository to say: put it into your own policy.yaml"
    given = [name for name in ("notify", "pipelines") if getattr(file, name)]
    return tuple(ConfigError(label, 0, name, said) for name in given)


def shipped_text() -> str:
    """defaults/policy.yaml as it was installed."""
    return resources.files("tmux_agent").joinpath("defaults/policy.yaml").read_text("utf-8")
