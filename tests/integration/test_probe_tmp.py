import pytest, time
from tests.conftest import _administer
from redis import Redis
from schema.clock import new_id
@pytest.fixture
def env(servers, template):
    name=f"test_{new_id().hex}"
    a=time.perf_counter(); _administer(servers, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"); b=time.perf_counter()
    Redis.from_url(servers.environ["REDIS_URL"]).flushdb(); c=time.perf_counter()
    print("create", round(b-a,3), "flush", round(c-b,3))
    yield name
    a=time.perf_counter(); _administer(servers, f"DROP DATABASE {name} WITH (FORCE)"); print("drop", round(time.perf_counter()-a,3))
@pytest.mark.parametrize("n", range(3))
def test_y(env, n): pass
@pytest.mark.parametrize("n", range(3))
def test_n(n): pass
@pytest.mark.parametrize("n", range(3))
def test_e(environ, n): pass
@pytest.mark.parametrize("n", range(3))
def test_z(env, n): pass
