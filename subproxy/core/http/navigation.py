"""Whether a request is a browser that goes to a page, which a person then looks at."""

from __future__ import annotations

from subproxy.core.http.request import RequestHead


def is_navigation(request: RequestHead) -> bool:
    """
    A GET that wants HTML, of which the browser says that it navigates (W3C Fetch Metadata,
    section 2.3): no script, no image, and no client that is not a browser.
    """
    if request.method != b"GET":
        return False
    navigates = wants = False
    for name, value in request.headers:
        size = len(name)
        if size == 14 and name.lower() == b"sec-fetch-mode":
            navigates = value == b"navigate"
        elif size == 6 and name.lower() == b"accept":
            wants = wants or b"text/html" in value.lower()
    return navigates and wants
