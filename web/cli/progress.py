"""How a job that is followed looks on a terminal: a bar, what it does, and how long it has left."""

from __future__ import annotations

import time
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from web.client import Event, Following

#: So many of the last characters a model wrote are shown.
_TAIL = 70
#: The time left is asked for at most this often, in seconds.
_ASK_EVERY = 1.0


class Screen:
    """Draws one job. On a terminal that is a bar that moves by itself; elsewhere a line for each thing that happens."""

    def __init__(self, console: Console, following: Following, name: str) -> None:
        self._console = console
        self._following = following
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[place]}", style="cyan"),
            console=console,
            expand=True,
        )
        self._task = self._bar.add_task(name, total=100, place="")
        self._message = "Waiting"
        self._written = ""
        self._left: tuple[float, float] | None = None
        self._asked_at = 0.0
        self._live = Live(get_renderable=self._drawn, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, event: Event) -> None:
        """Draw what has happened."""
        if event["type"] == "content_delta":
            self._written = (self._written + _plain(event["text"]))[-10 * _TAIL :]
            return
        words = _plain(words_on(event))
        self._message = words or self._message
        progress = event.get("progress")
        if event["type"] == "job_snapshot":
            progress = event["job"]["progress"]
        if event["type"] == "job_completed":
            progress = 100
        if progress is not None:
            self._bar.update(self._task, completed=progress)
        if "stepIndex" in event:
            self._bar.update(self._task, place=f"step {event['stepIndex'] + 1} of {event['totalSteps']}")
        if event["type"] in {"step_completed", "topic_completed"}:
            self._written = ""
        if words and not self._console.is_terminal:
            self._console.print(f"{self._bar.tasks[0].completed:5.1f}%  {words}", markup=False)

    def tell_left(self, job: dict[str, Any]) -> None:
        """Show how long the job has left."""
        left = job["estimatedSecondsLeft"]
        self._left = None if left is None else (left, time.monotonic())

    def wants_left(self) -> bool:
        """Whether it is time to ask how long the job has left."""
        now = time.monotonic()
        due = self._console.is_terminal and now - self._asked_at >= _ASK_EVERY
        if due:
            self._asked_at = now
        return due

    def _drawn(self) -> RenderableType:
        line = Text("  " + self._message, no_wrap=True, overflow="ellipsis")
        if self._left is not None:
            left, at = self._left
            line.append(f"  {duration(max(left - (time.monotonic() - at), 0))} left", style="green")
        if self._following.state == "polling":
            line.append("  (connecting again)", style="yellow")
        parts: list[RenderableType] = [self._bar, line]
        if self._written:
            tail = " ".join(self._written.split())[-_TAIL:]
            parts.append(Text(f"  … {tail}", style="dim", no_wrap=True, overflow="ellipsis"))
        return Group(*parts)


def _plain(text: str) -> str:
    """Text that a model wrote, with nothing in it that a terminal takes for an order."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def words_on(event: Event) -> str:
    """What an event tells a person; empty when nothing."""
    match event["type"]:
        case "step_started" | "step_progress" | "step_completed":
            return str(event["message"])
        case "topic_started" | "topic_progress":
            return f"Generating: {event['topicName']} ({event['topicIndex']}/{event['totalTopics']})"
        case "topic_completed":
            return f"Finished: {event['topicName']} ({event['topicIndex']}/{event['totalTopics']})"
        case "media_completed":
            return "A picture is made"
        case "media_failed":
            return f"A picture failed: {event['error']['message']}"
        case "job_retrying":
            error = event["error"]
            return f"{error['message']} It is tried again." if error else "It is taken up again"
        case "job_completed":
            pending = event["mediaPending"]
            return f"Done; waiting for {pending} picture{'s' if pending > 1 else ''}" if pending else "Done"
        case "job_failed":
            return f"Failed: {event['error']['message']}"
        case "job_cancelled":
            return f"Cancelled{': ' + event['reason'] if event['reason'] else ''}"
        case "job_snapshot":
            return str(event["job"]["progressMessage"])
    return ""


def duration(seconds: float) -> str:
    """A span of time as people say it."""
    if seconds < 90:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min"
