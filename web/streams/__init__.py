"""Streams: after Flask has answered, a connection is handed over to one asyncio loop a process, and holds no thread and
no database connection while it waits.

``handover`` takes the socket away from gunicorn, ``loop`` is where it goes, ``hub`` knows who waits for what, ``feeds``
reads it, ``connection`` writes it, ``token`` is what lets somebody in who can't send headers.
"""
