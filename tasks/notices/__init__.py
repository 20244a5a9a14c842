"""Telling the outside that a job has ended: webhooks and mails, from the rows the end itself has written."""
