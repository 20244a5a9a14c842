"""After signing in one goes on to a page of this site, whatever the address said."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.pages.ways_back import way_back


@pytest.mark.parametrize("path", ["/", "/catalog", "/courses/rain-1?x=1&y=%2F", "/jobs/7#end", "/new?from=exam"])
def test_a_page_of_this_site(path: str) -> None:
    assert way_back(path) == path


@pytest.mark.parametrize(
    "path",
    [
        *(None, "", "catalog", "https://evil.example/", "//evil.example", "///evil.example", "/\\evil.example"),
        *("\\\\evil.example", "/\t/evil.example", "/\n/evil.example", " //evil.example", "javascript:alert(1)"),
        *("/catalog\r\nSet-Cookie: a=b", "/a b", "/\u00e9", "/x" * 2000, "/a\\b", "/login?next=/login", "/logout"),
        *("/login/a-token", "/api/jobs", "//[", "http:catalog", "/\x00"),
    ],
)
def test_anything_else_leads_home(path: str | None) -> None:
    assert way_back(path) == "/"


@given(st.text(alphabet=st.sampled_from("/\\.:@?#[]%\t\n abevil-é\x00"), max_size=12).map(lambda rest: "/" + rest))
def test_no_text_leads_to_another_host(path: str) -> None:
    # As a browser reads it: backslashes are slashes, tabs and line breaks are dropped.
    read = way_back(path).replace("\\", "/").translate({9: None, 10: None, 13: None})
    assert urlsplit(urljoin("https://ours.example/login", read)).netloc == "ours.example"
