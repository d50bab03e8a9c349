"""What stands between the characters of a terminal's output: ECMA-48's control sequences, told apart. Pure.

Owns the grammar alone. Must not own: what a sequence does, or whether it may (cast_safe.py, cast_mask.py).
A lone half of a sequence is a control character; where one begins that never ends, its first character is.
"""

from __future__ import annotations

import re

# By the name of the group that matched: text · csi (with params, mid, final) · string (OSC, DCS and their kin, with the
# end: "" where it did not end) · escape · control.
TOKEN = re.compile(
    r"(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|(?P<csi>(?:\x1b\[|\x9b)(?P<params>[0-?]*)(?P<mid>[ -/]*)(?P<final>[@-~]))"
    r"|(?P<string>(?:\x1b[\]PX^_k]|[\x90\x98\x9d-\x9f])[^\x07\x18\x1a\x1b\x9c]*(?P<end>\x07|\x1b\\|[\x18\x1a\x9c]|(?=\x1b)|\Z))"
    r"|(?P<escape>\x1b[ -/]*[0-~])"
    r"|(?P<control>[\x00-\x1f\x7f-\x9f])"
)
STRING_END = re.compile(r"[^\x07\x18\x1a\x1b\x9c]*(?:\x07|\x1b\\|[\x18\x1a\x9c]|(?=\x1b[^\\]))")  # of one that goes on
UNFINISHED = re.compile(r"(?:\x1b\[|\x9b)[0-?]{0,256}[ -/]{0,8}\Z|\x1b[ -/]{0,8}\Z")  # at the end of a text
