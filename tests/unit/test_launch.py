"""The short way into Celery: it starts workers and beat, and leaves everything else to Celery's own command."""

from __future__ import annotations

import pytest

from tasks import launch


@pytest.mark.parametrize("words", ["", "worker", "--app tasks.app", "--app tasks.app purge", "--app other worker"])
def test_whatever_else_is_asked_for_is_refused(words: str) -> None:
    with pytest.raises(SystemExit, match=r"Only --app tasks\.app worker and --app tasks\.app beat are started here"):
        launch.main(words.split())
