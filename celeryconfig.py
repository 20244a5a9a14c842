"""Celery's own knobs, each with its reason. Values come from ``schema.settings``."""

from __future__ import annotations

from schema.settings import settings

_settings = settings()

broker_url = _settings.redis_url
broker_connection_retry_on_startup = True
# A message only says "look at this job"; whoever comes back from an outage finds the truth in the rows.
broker_connection_max_retries = None
# Without these a stopped broker holds a sender for more than 25 s.
broker_transport_options = {
    "socket_timeout": 2,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    # Messages are acknowledged early, so this only concerns messages a dead worker had fetched and not begun. The
    # sweep resends those long before.
    "visibility_timeout": 3600,
    "queue_order_strategy": "round_robin",
}
broker_pool_limit = 8

# Acknowledged when taken, not when done: what a lost worker leaves behind is found by its rows, and a message is
# never delivered again while its step still runs.
task_acks_late = False
# A worker takes a message only when it can begin it: one it had fetched before would stand ahead of everybody who comes
# later, in memory where no order reaches it (decision 0009). A thread that becomes free says so by its task event, so
# leave these on; without them a free thread looks for its next message only once a second.
worker_disable_prefetch = True
worker_prefetch_multiplier = 1
# Results live in Postgres. Nothing waits on Celery's.
task_ignore_result = True
# One try; the sweep sends again within seconds.
task_publish_retry = False
task_serializer = "json"
accept_content = ["json"]
task_default_queue = "course"
task_create_missing_queues = True
worker_hijack_root_logger = False
worker_send_task_events = True  # Flower
task_send_sent_event = False
# Redis would keep dead workers' mailboxes; these are only remote-control replies.
control_queue_ttl = 60.0
enable_utc = True
timezone = "UTC"
imports = ("tasks.app", "tasks.cron")

# The purge is looked at every ten minutes, so that it also happens where the clock is restarted within the hour.
# Each tick has `expires`: after an outage the missed ones are dropped instead of all running at once. They have a
# queue and a worker of their own, so that no model call stands before them.
beat_schedule = {
    name: {"task": f"coursewright.cron.{name}", "schedule": every, "options": {"queue": "control", "expires": every}}
    for name, every in {
        **{"dispatch": 1.0, "reconcile": 5.0, "publish": 1.0, "expire": 600.0},
        **{"notify": 1.0, "schedule": 1.0},
    }.items()
}
beat_scheduler = "celery.beat.Scheduler"  # in memory: the rows remember what was done, beat need not
beat_max_loop_interval = 1.0
