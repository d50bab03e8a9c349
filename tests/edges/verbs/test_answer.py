"""`approve` and `deny`: the approval is found wherever it stands in the list."""

from __future__ import annotations

from typing import Any

from tmux_agent.edges.verbs.answer import _shown


class Pages:
    """A client whose sidecar lists one approval a page."""

    def __init__(self, ids: list[str]) -> None:
        self.ids = ids

    def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        assert method == "human.pending"
        at = self.ids.index(params["cursor"]) + 1 if params["cursor"] else 0
        page = {"approvals": [{"request_id": one, "digest": "d" + one} for one in self.ids[at : at + 1]]}
        return page | ({"cursor": self.ids[at]} if at + 1 < len(self.ids) else {})


def test_every_page_is_looked_at() -> None:
    """The last of three is found with its digest, what is on none is not."""
    pages: Any = Pages(["1", "2", "3"])
    assert _shown(pages, "3") == {"request_id": "3", "digest": "d3"}
    assert _shown(pages, "4") is None
