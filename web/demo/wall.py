"""Schools side by side in the demo: each sees its own work, and to each the others' does not exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from web.demo.courses import Client, DemoFailed, Ordered


def check_wall(console: Console, clients: Sequence[Client], courses: Sequence[tuple[Ordered, str]]) -> None:
    """Have each school ask for all that the others made, by every door, and say what it was answered. Raises
    ``DemoFailed`` when anything is answered but 404, or a catalog holds what is somebody else's."""
    for client in clients:
        own = {course_id for order, course_id in courses if order.client is client}
        others = [(order, course_id) for order, course_id in courses if order.client is not client]
        _check_catalog(console, client, own, {course_id for _, course_id in others})
        for name, status in _tried(client, others).items():
            console.print(f"    {name:<34} {status}")


def _check_catalog(console: Console, client: Client, own: set[str], others: set[str]) -> None:
    listed = {entry["id"] for entry in client.call("GET", "/api/catalog")["courses"]}
    if not own <= listed:
        raise DemoFailed(f"{client.school} does not find its own {', '.join(sorted(own - listed))} in its catalog.")
    if listed & others:
        raise DemoFailed(f"{client.school} sees {', '.join(sorted(listed & others))} of another school.")
    console.print(f"{client.school} sees its own {len(own)} new courses. Of the others' {len(others)} it is told:")


def _tried(client: Client, others: Sequence[tuple[Ordered, str]]) -> dict[str, int]:
    """What asking for others' things is answered, by name. Raises ``DemoFailed`` unless that is 404."""
    answered: dict[str, int] = {}
    for order, course_id in others:
        asked: tuple[tuple[str, str, str, Any], ...] = (
            ("the job", "GET", f"/api/jobs/{order.job_id}", None),
            ("its events", "GET", f"/api/jobs/{order.job_id}/events?after=0", None),
            ("its stream", "GET", f"/api/jobs/{order.job_id}/stream", None),
            ("to cancel it", "POST", f"/api/jobs/{order.job_id}/cancel", {}),
            ("to run it again", "POST", f"/api/jobs/{order.job_id}/retry", {}),
            ("the course", "GET", f"/api/courses/{course_id}", None),
            ("the course's file", "GET", f"/content/courses/{course_id}/course.json", None),
        )
        for name, method, path, body in asked:
            status = client.ask(method, path, body).status
            if status != 404:
                raise DemoFailed(f"{client.school}: {method} {path} of {order.client.school} answered {status}.")
            answered[name] = status
    return answered
