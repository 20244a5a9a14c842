"""Files with questions, sent as programs and as browsers send them, over the wire."""

from __future__ import annotations

from urllib3 import encode_multipart_formdata

from tests.acceptance.conftest import ROOT, System

GIFT = (ROOT / "docs/examples/civics.gift").read_bytes()


def test_an_exam_comes_as_a_file_and_a_faulty_or_large_one_leaves_nothing(system: System) -> None:
    raw = "/api/exams?format=gift&title=Civics"
    body = system.call("POST", raw, raw=GIFT, headers={"Content-Type": "text/plain"})
    assert body.status == 201, body.data
    fields = {"title": "Civics", "file": ("civics.gift", GIFT, "application/octet-stream")}
    sent, content_type = encode_multipart_formdata(fields)
    form = system.call("POST", "/api/exams", raw=sent, headers={"Content-Type": content_type})
    assert form.status == 201, form.data
    first, second = body.json()["exam"], form.json()["exam"]
    assert first["questions"] == second["questions"] and first["questionCount"] == 100

    before = system.rows("SELECT count(*) FROM exams")
    faulty = system.call("POST", raw, raw=GIFT + b"\nWho?{", headers={"Content-Type": "text/plain"})
    [fault] = faulty.json()["errors"]
    assert (faulty.status, fault["line"]) == (422, GIFT.count(b"\n") + 2)
    fields["file"] = ("large.gift", GIFT * 90, "text/plain")
    sent, content_type = encode_multipart_formdata(fields)
    large = system.call("POST", "/api/exams", raw=sent, headers={"Content-Type": content_type})
    assert (large.status, large.json()["code"]) == (413, "body_too_large")
    cut = system.call("POST", "/api/exams", raw=sent[:2000], headers={"Content-Type": content_type})
    assert cut.status == 422, cut.data
    assert system.rows("SELECT count(*) FROM exams") == before

    assert system.call("DELETE", f"/api/exams/{first['id']}").status == 204
    assert system.call("GET", f"/api/exams/{first['id']}").status == 404
    assert [exam["id"] for exam in system.call("GET", "/api/exams?limit=1").json()["exams"]] == [second["id"]]
