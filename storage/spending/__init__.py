"""Calls to models: a row for each, and how many may go on, for how much, at what pace."""
