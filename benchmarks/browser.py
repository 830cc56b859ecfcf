"""The request fields of a browser, which the loads over TLS and HTTP/2 send."""

HEADERS = (
    "user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language: en-GB,en;q=0.7,de;q=0.3",
    "accept-encoding: gzip, deflate, br",
    "referer: http://bench.example/from/here",
    "cookie: session=0123456789abcdef0123456789abcdef; theme=dark",
    "sec-fetch-mode: navigate",
    "sec-fetch-site: same-origin",
    "cache-control: no-cache",
)
"""What a browser sends."""
