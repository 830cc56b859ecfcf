"""A Django project in one module: admin, uploads and sessions, for test_applications."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import django
from django.conf import settings

FOLDER = os.environ.get("DJANGO_SITE", "/tmp")

settings.configure(
    SECRET_KEY="for tests",
    DEBUG=False,
    ALLOWED_HOSTS=["site.example"],
    ROOT_URLCONF=__name__,
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{FOLDER}/site.sqlite"}
    },
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    STATIC_URL="/static/",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django.contrib import admin  # noqa: E402
from django.core.handlers.asgi import ASGIHandler  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402


def prepare() -> None:
    """Make the database, with one user: anna."""
    from django.contrib.auth.models import User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    User.objects.create_superuser("anna", "anna@site.example", "let-me-in")


@csrf_exempt
def upload(request: HttpRequest) -> HttpResponse:
    """The digest of a file in a form."""
    digest = hashlib.sha256()
    for piece in request.FILES["file"].chunks():
        digest.update(piece)
    return HttpResponse(digest.hexdigest(), content_type="text/plain")


@csrf_exempt
def raw(request: HttpRequest) -> HttpResponse:
    """The length of a body, and what was told of it."""
    told = request.META.get("CONTENT_LENGTH", "-")
    return HttpResponse(f"{len(request.body)} {told}", content_type="text/plain")


def visits(request: HttpRequest) -> HttpResponse:
    """How often a session has come."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(f"{request.session['visits']}", content_type="text/plain")


def file(request: HttpRequest) -> FileResponse:
    """A file of 3 MB."""
    name = f"{FOLDER}/large"
    if not os.path.exists(name):
        with open(name, "wb") as made:
            made.write(bytes(range(256)) * 12_000)
    return FileResponse(open(name, "rb"), content_type="application/octet-stream")


def breaking(request: HttpRequest) -> StreamingHttpResponse:
    """A body that fails midway."""

    def pieces() -> Any:
        yield b"half"
        raise RuntimeError("on purpose")

    return StreamingHttpResponse(pieces())


def where(request: HttpRequest) -> HttpResponse:
    """What the application takes the request for."""
    return HttpResponse(f"{request.build_absolute_uri()} {request.META['REMOTE_ADDR']}")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("upload", upload),
    path("raw", raw),
    path("visits", visits),
    path("file", file),
    path("breaking", breaking),
    path("where", where),
]
application = WSGIHandler()
asgi = ASGIHandler()
