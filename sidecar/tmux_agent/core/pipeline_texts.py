"""Variables in a pipeline's texts: `${name}` of the file's `env` and `matrix`. Pure.

A name that the file does not give stays as it is: the shell may know it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from .pipeline_file import ActionFile

T = TypeVar("T")
_NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def fill(text: str, variables: Mapping[str, str]) -> str:
    """`text` with the values of those variables that are known."""
    return _NAME.sub(lambda found: variables.get(found[1], found[0]), text)


def filled(action: ActionFile, variables: Mapping[str, str]) -> ActionFile:
    """The action with every text filled in."""
    return msgspec.convert(_fill(msgspec.to_builtins(action), variables), ActionFile) if variables else action


def _fill(value: object, variables: Mapping[str, str]) -> object:
    if isinstance(value, str):
        return fill(value, variables)
    if isinstance(value, dict):
        return {key: _fill(item, variables) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_fill(item, variables) for item in value]
    return value
