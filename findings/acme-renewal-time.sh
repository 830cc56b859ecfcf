#!/usr/bin/env bash
# acme (certbot's library): renewal_time() returns two times that cannot be compared.
#
# ClientV2.renewal_time() tells when a certificate is to be renewed and when to ask again. Where the
# authority answers, the first time knows its zone and the second does not, so that "is the first
# one before the second?" raises TypeError. Nothing but their timestamps can be looked at together:
# a naive time is local, and timestamp() takes it so.
# Seen with acme 5.9.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check acme==5.9.0
cat >"$folder/seen.py" <<'END'
from datetime import datetime, timedelta, timezone

from acme import client, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

now = datetime.now(timezone.utc)


class Answer:
    """What an authority says of a certificate (RFC 9773 section 4.2)."""

    headers = {"Retry-After": "21600"}

    def json(self):
        begin, end = now + timedelta(days=60), now + timedelta(days=61)
        form = "%Y-%m-%dT%H:%M:%SZ"
        return {"suggestedWindow": {"start": begin.strftime(form), "end": end.strftime(form)}}


class Network:
    def get(self, url, **options):
        return Answer()


key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a.example")])
certificate = (
    x509.CertificateBuilder()
    .subject_name(name)
    .issuer_name(name)
    .public_key(key.public_key())
    .serial_number(1)
    .not_valid_before(now)
    .not_valid_after(now + timedelta(days=90))
    .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
    .sign(key, hashes.SHA256())
)
directory = messages.Directory({"renewalInfo": "https://ca.example/renewal"})
made = client.ClientV2(directory, Network())
when, again = made.renewal_time(certificate.public_bytes(Encoding.PEM))
try:
    found = when < again
except TypeError as error:
    found = error
print(f"zones: {when.tzinfo is not None} {again.tzinfo is not None}; compared: {found}")
END
seen=$("$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = "zones: True False; compared: can't compare offset-naive and offset-aware datetimes" ]
