from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest
from flask import Flask, Response, request, stream_with_context
from flask.testing import FlaskClient

from web import caching
from web.caching import tagged, unchanged

LONG = b'{"words": "' + b"water " * 400 + b'"}'
GZIP = {"Accept-Encoding": "gzip"}


def make_app() -> Flask:
    app = Flask("test")
    made: list[int] = []
    app.config["MADE"] = made

    @app.get("/tagged")
    def with_tag() -> Response:
        return tagged(Response(LONG, content_type="application/json"), "r7", "no-cache")

    @app.get("/early")
    def early() -> Response:
        known = unchanged("v3", "no-cache")
        if known is not None:
            return known
        made.append(1)
        return tagged(Response(LONG, content_type="application/json"), "v3", "no-cache")

    @app.get("/plain")
    def plain() -> Response:
        size = int(request.args.get("size", 2000))
        status = int(request.args.get("status", 200))
        kind = request.args.get("type", "application/json")
        return Response(b"x" * size, status, content_type=kind)

    @app.get("/packed")
    def packed() -> Response:
        return Response(b"x" * 2000, headers={"Content-Encoding": "br"}, content_type="text/html")

    @app.get("/streamed")
    def streamed() -> Response:
        return Response(stream_with_context(iter(["x" * 2000])), content_type="text/plain")

    @app.get("/untyped")
    def untyped() -> Response:
        response = Response(b"x" * 2000)
        del response.headers["Content-Type"]
        return response

    caching.register(app)
    return app


@pytest.fixture
def client() -> Iterator[FlaskClient]:
    with make_app().test_client() as made:
        yield made


class TestTags:
    @pytest.mark.parametrize("path", ["/tagged", "/early"])
    def test_who_has_it_already_gets_304_without_a_body(self, client: FlaskClient, path: str) -> None:
        first = client.get(path)
        assert first.status_code == 200
        again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert again.headers["Cache-Control"] == "no-cache"

    @pytest.mark.parametrize("path", ["/tagged", "/early"])
    def test_also_when_it_came_packed(self, client: FlaskClient, path: str) -> None:
        first = client.get(path, headers=GZIP)
        assert first.headers["ETag"].startswith('W/"'), "other bytes than unpacked, so only weakly the same"
        again = client.get(path, headers=GZIP | {"If-None-Match": first.headers["ETag"]})
        assert again.status_code == 304
        # And whoever unpacked it meanwhile has the same thing.
        assert client.get(path, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304

    @pytest.mark.parametrize("path", ["/tagged", "/early"])
    @pytest.mark.parametrize("known", ['"r6"', 'W/"r70"', "rubbish", "", '"r6", "v2"'])
    def test_who_has_something_else_gets_all_of_it(self, client: FlaskClient, path: str, known: str) -> None:
        response = client.get(path, headers={"If-None-Match": known})
        assert (response.status_code, response.data) == (200, LONG)

    @pytest.mark.parametrize("known", ['"x", "v3"', 'W/"x", W/"v3"', "*"])
    def test_one_of_several_is_enough(self, client: FlaskClient, known: str) -> None:
        assert client.get("/early", headers={"If-None-Match": known}).status_code == 304

    def test_nothing_is_made_for_who_has_it(self, client: FlaskClient) -> None:
        made = client.application.config["MADE"]
        client.get("/early", headers={"If-None-Match": '"v3"'})
        assert made == []
        client.get("/early")
        assert made == [1]


class TestPacking:
    def test_it_is_smaller_and_the_same_bytes_every_time(self, client: FlaskClient) -> None:
        first = client.get("/tagged", headers=GZIP)
        assert first.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(first.data) == LONG
        assert int(first.headers["Content-Length"]) == len(first.data) < len(LONG) / 4
        assert client.get("/tagged", headers=GZIP).data == first.data

    def test_every_answer_says_that_it_depends_on_what_is_taken(self, client: FlaskClient) -> None:
        for headers in ({}, GZIP):
            for path in ("/tagged", "/plain?size=1", "/nowhere"):
                assert "Accept-Encoding" in client.get(path, headers=headers).headers["Vary"]

    @pytest.mark.parametrize("taken", [None, "identity", "br", "gzip;q=0", "deflate, br"])
    def test_who_does_not_take_it_gets_it_unpacked(self, client: FlaskClient, taken: str | None) -> None:
        response = client.get("/tagged", headers={"Accept-Encoding": taken} if taken else {})
        assert "Content-Encoding" not in response.headers
        assert response.data == LONG

    @pytest.mark.parametrize("taken", ["gzip, deflate, br", "gzip;q=0.1", "*", "GZIP"])
    def test_every_way_to_say_that_it_is_taken(self, client: FlaskClient, taken: str) -> None:
        response = client.get("/tagged", headers={"Accept-Encoding": taken})
        assert response.headers["Content-Encoding"] == "gzip"

    @pytest.mark.parametrize(
        ("path", "packed"),
        [
            ("/plain?size=1000", True),
            ("/plain?size=999", False),
            ("/plain?type=text/css", True),
            ("/plain?type=image/svg%2Bxml", True),
            ("/plain?type=image/png", False),
            ("/plain?type=application/octet-stream", False),
            ("/plain?status=404", False),
            ("/plain?status=206", False),
            ("/streamed", False),
            ("/untyped", False),
        ],
    )
    def test_only_what_is_worth_it_is_packed(self, client: FlaskClient, path: str, packed: bool) -> None:
        response = client.get(path, headers=GZIP)
        assert response.status_code < 500
        assert (response.headers.get("Content-Encoding") == "gzip") is packed

    def test_what_is_packed_otherwise_stays_so(self, client: FlaskClient) -> None:
        assert client.get("/packed", headers=GZIP).headers["Content-Encoding"] == "br"
