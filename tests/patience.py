"""How long tests wait. What comes ends the wait, so a long limit costs nothing: it only ends what never comes."""

PATIENCE = 60.0  # seconds; pytest's own timeout (pyproject.toml) leaves room for several
AGAIN = 5.0  # seconds after which a person presses once more where nothing has happened


def pause(waited: float) -> float:
    """Seconds until it is looked again, where nothing tells: a tenth of what was waited already."""
    return min(max(waited / 10, 0.01), 0.25)
