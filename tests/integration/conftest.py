"""What integration tests add to the real servers: an empty store, a web of its own processes, and a scripted model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from minio.deleteobjects import DeleteObject

from schema.settings import Settings, read_settings
from tasks.clients import loop
from tasks.clients.connection import close_connections
from tasks.deps import Deps
from tests.access.world import World, two_organizations
from tests.conftest import Databases, Outbox, Servers, make_deps, use
from tests.fakes.model_server import ModelServer
from tests.integration.web_process import Web, serve
from web.app import create_app


@pytest.fixture
def empty_store(deps: Deps) -> None:
    """Nothing in the buckets. A file of another test's database could carry a higher number under the same key."""
    client = deps.objects.client
    for bucket in (deps.settings.s3.courses_bucket, deps.settings.s3.media_bucket):
        names = [DeleteObject(str(found.object_name)) for found in client.list_objects(bucket, recursive=True) if found]
        assert list(client.remove_objects(bucket, names)) == []


@pytest.fixture
def client(deps: Deps) -> Iterator[FlaskClient]:
    """Asks the app of this test, in its own process; keeps cookies as a browser does."""
    with create_app().test_client() as made:
        yield made


@pytest.fixture
def web(deps: Deps, environ: dict[str, str], tmp_path: Path) -> Iterator[Web]:
    """A web server of two processes, to be killed and started again."""
    made = serve(deps, environ | {"WEB_CONCURRENCY": "2"}, tmp_path / "web.log")
    yield made
    made.child.terminate()  # does nothing where a test has done so
    assert made.child.wait(30) == 0


@pytest.fixture
def model_loop() -> Iterator[None]:
    """The loop on which models are called ends with the test."""
    yield
    loop.close()


@pytest.fixture
def model(model_loop: None) -> Iterator[ModelServer]:
    """A model that answers rightly, and faultily when scripted."""
    with ModelServer() as running:
        yield running
        loop.run(close_connections())


@pytest.fixture
def model_settings(environ: dict[str, str], model: ModelServer) -> Settings:
    return read_settings({**environ, "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "sk-of-the-tests"})


@pytest.fixture
def model_deps(model_settings: Settings, outbox: Outbox) -> Iterator[Deps]:
    """Deps of a process that may ask the model."""
    made = make_deps(model_settings, outbox)
    use(made)
    yield made
    made.writers.shutdown()
    made.close()


@pytest.fixture(scope="module")
def _world(servers: Servers, databases: Databases) -> Iterator[World]:
    with two_organizations(servers, databases) as made:
        yield made


@pytest.fixture
def world(_world: World) -> World:
    """Two organizations side by side, with one of everything each; the same for all tests of a file."""
    _world.enter()
    return _world
