"""The web application with one more view, which crashes: for seeing who is told."""

from __future__ import annotations

import os

from flask import Flask, request

from web.app import create_app


def create() -> Flask:
    """The app. ``/crash`` raises, naming the process; its token stands in a variable and in the error's second line."""
    app = create_app()

    @app.get("/crash")
    def crash() -> str:
        secret = request.args["token"]  # a local variable may hold it, and the lines after an error's first
        raise RuntimeError(f"crash of {os.getpid()}\nparameters: {secret}")

    return app
