"""The page that a browser gets while a machine starts; it asks again, without a script."""

from __future__ import annotations

from subproxy.core.http.request import Headers

REFRESH = 2
"""Seconds after which it asks again."""

STARTING_HEADERS: Headers = [
    (b"Content-Type", b"text/html; charset=utf-8"),
    (b"Content-Security-Policy", b"default-src 'none'; style-src 'unsafe-inline'"),
    (b"Refresh", b"%d" % REFRESH),
    (b"Vary", b"Accept, Sec-Fetch-Mode"),
]

_PAGE = b"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>Starting</title>
<style>
:root { color-scheme: light dark; }
body { box-sizing: border-box; margin: 0; min-height: 100vh; padding: 1rem;
  display: grid; place-content: center;
  background: #f6f7f9; color: #16191f; font: 1.1rem/1.5 system-ui, sans-serif; text-align: center; }
h1 { margin: 0 0 .5rem; font-size: 1.5rem; }
p { margin: 0; }
.id { margin-top: 1.5rem; color: #515866; font-size: .85rem; }
@media (prefers-color-scheme: dark) {
  body { background: #101318; color: #e7eaf0; }
  .id { color: #a4adbb; }
}
</style>
</head>
<body>
<main>
<h1>Starting</h1>
<p>What you asked for is being started. This page asks again every %d seconds.</p>
<p class="id">request id: %b</p>
</main>
</body>
</html>
"""


def starting_page(request_id: bytes) -> bytes:
    """The page; C{request_id} has nothing in it that HTML would read."""
    return _PAGE % (REFRESH, request_id or b"-")
