"""A WSGI application."""

import os


def application(environ, start_response):  # type: ignore[no-untyped-def]
    body = environ["wsgi.input"].read()
    answer = (
        f"{os.getppid()} {environ['REQUEST_METHOD']} {environ['HTTP_HOST']} {len(body)}".encode()
    )
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
