"""Asking for a course: faults beside the fields, nothing typed is lost, an exam becomes a course one can read."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.acceptance.conftest import ROOT, System
from tests.browser.conftest import Opens
from tests.fakes.model_server import ModelServer

CIVICS = ROOT / "docs" / "examples" / "civics.gift"


def fault(page: Page, field: str) -> str:
    """What stands beside a field, once something does."""
    place = page.locator(f"#{field}-error")
    expect(place).to_be_visible()
    assert f"{field}-error" in str(page.locator(f"#{field}").get_attribute("aria-describedby"))
    return str(place.text_content())


def test_faults_stand_beside_their_fields_and_what_was_typed_stays(
    opens: Opens, system: System, pictures: Path
) -> None:
    window = opens("/new")
    window.may_break = True
    page = window.page
    page.get_by_label("Subject").fill("Half filled in")
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Items in each group").fill("500")
    page.get_by_label("Language").fill("not a tag")
    page.get_by_label("Course id").fill("no id")
    page.get_by_text("More", exact=True).click()
    page.get_by_role("button", name="Make the course").click()
    assert fault(page, "gradeBand") == "Please fill this in."
    assert fault(page, "itemsPerGroup") == "Use a number from 1 to 100."
    assert "letters, digits and hyphens" in fault(page, "courseId")
    assert "language tag" in fault(page, "language")
    expect(page.locator("#subject-error")).to_be_hidden()
    expect(page.get_by_label("Grade band")).to_be_focused()
    assert page.locator("[aria-invalid=true]").count() == 4
    expect(page.get_by_label("Subject")).to_have_value("Half filled in")
    page.screenshot(path=pictures / "faults.png", full_page=True)
    jobs = system.call("GET", "/api/jobs?limit=200").json()["jobs"]
    assert all(job["payload"].get("subject") != "Half filled in" for job in jobs)
    # What was wrong is forgotten once it is right.
    page.get_by_label("Grade band").fill("3-5")
    page.get_by_role("button", name="Make the course").click()
    expect(page.get_by_label("Language")).to_be_focused()
    expect(page.locator("#gradeBand-error")).to_be_hidden()


def test_every_field_of_a_request_can_be_filled_in(opens: Opens) -> None:
    page = opens("/new").page
    names = {str(field.get_attribute("name")) for field in page.locator("form [name]").all()}
    schema = page.evaluate("async () => (await (await fetch('/api/openapi.json')).json()).components.schemas")
    assert names == set(schema["CourseRequest"]["properties"])


def test_a_refusal_without_a_field_is_told_above_the_button(opens: Opens, system: System, model: ModelServer) -> None:
    model.script([{"fault": "slow", "purpose": "items", "seconds": 40}])
    busy = system.start_course(subject="At work already", gradeBand="6-8", courseId="at-work-already")
    window = opens("/new")
    window.may_break = True
    page = window.page
    page.get_by_label("Subject").fill("At work already")
    page.get_by_label("Grade band").fill("3-5")
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Course id").fill("at-work-already")
    page.get_by_role("button", name="Make the course").click()
    expect(page.get_by_role("alert")).to_contain_text(busy)
    system.call("POST", f"/api/jobs/{busy}/cancel", {})


def test_a_pasted_exam_becomes_a_course_that_can_be_read(opens: Opens, system: System, pictures: Path) -> None:
    page = opens("/new?from=exam").page
    page.get_by_label("Title of the exam").fill("Civics, pasted")
    page.get_by_label("Questions", exact=True).fill(CIVICS.read_text("utf-8"))
    page.get_by_role("button", name="Look at the questions").click()
    expect(page.get_by_role("heading", name="100 questions")).to_be_visible()
    expect(page.locator("#preview")).to_contain_text("What is the supreme law of the land?")
    page.screenshot(path=pictures / "exam.png", full_page=True)
    page.get_by_role("button", name="Make the course").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("listitem").filter(has_text="Write the lessons")).to_be_visible()
    page.wait_for_url("**/courses/civics-pasted-*", timeout=60_000)
    course_id = page.url.rsplit("/", 1)[1]
    course = system.call("GET", f"/api/courses/{course_id}").json()["course"]
    for topic in course["topics"]:
        expect(page.get_by_role("heading", name=topic["name"], exact=True, level=2)).to_be_visible()
    shown = str(page.locator("article").text_content())
    assert all(lesson["title"] in shown for topic in course["topics"] for lesson in topic["lessons"])
    assert "What is the supreme law of the land?" in shown
    # Its tags are its topics, and each lesson says what it is for: nothing is told twice before the first lesson.
    expect(page.locator(".tags")).to_have_count(0)
    expect(page.get_by_role("heading", name="What you will learn")).to_have_count(0)
    page.get_by_role("heading", level=3).first.scroll_into_view_if_needed()
    page.screenshot(path=pictures / "exam-course.png")


def test_an_uploaded_file_is_looked_at_and_its_faults_are_told_by_line(opens: Opens, tmp_path: Path) -> None:
    file = tmp_path / "Plants.csv"
    file.write_text("question,answer,option_a,option_b\nWhat do roots take up?,water,water,light\nAnd leaves?,x,a,b\n")
    window = opens("/new?from=exam")
    window.may_break = True
    page = window.page
    page.get_by_label("File").set_input_files(file)
    expect(page.get_by_label("Title of the exam")).to_have_value("Plants")
    expect(page.get_by_label("Format")).to_have_value("csv")
    expect(page.locator("#preview")).to_contain_text("1 question, 1 to mend")
    expect(page.locator("#preview .fault")).to_contain_text("Line 3")
    page.get_by_role("button", name="Make the course").click()
    assert "Line 3" in fault(page, "content")
    expect(page.get_by_label("Questions", exact=True)).to_have_value(file.read_text())


def test_what_is_no_exam_is_refused_in_words(opens: Opens) -> None:
    window = opens("/new?from=exam")
    window.may_break = True
    page = window.page
    look = page.get_by_role("button", name="Look at the questions")
    look.click()
    assert fault(page, "content") == "Paste the questions, or choose a file."
    # What it is written in is found out: each is read by the reader of its own format.
    for text, found in (("{}", "no questions"), ("[", "JSON"), ("A? {=b", "no }"), ("a,b\n1,2", "column")):
        page.get_by_label("Questions", exact=True).fill(text)
        look.click()
        expect(page.locator("#preview .fault, #content-error").filter(visible=True).first).to_contain_text(found)
