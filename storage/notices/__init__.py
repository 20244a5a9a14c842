"""What the outside is told of a job's end: by webhooks and by mail."""
