#!/usr/bin/env bash
# cryptography: its verifier refuses every certificate of trustme's.
#
# trustme makes certificates for tests, and names the hosts in a subjectAltName that is critical,
# beside a subject that is not empty. RFC 5280, section 4.2.1.6, says that it should not be critical
# then, which is no must; OpenSSL takes it, and so does Python's ssl. cryptography's own verifier
# (x509.verification), with which a program checks certificates itself, goes by the rules of public
# authorities (CA/Browser Forum) unless it is told otherwise, and refuses it, whoever signed.
# An ExtensionPolicy for the server's certificate that asks for the extension, critical or not, lets
# it pass.
# Seen with cryptography 50.0.2 and trustme 1.2.1; ssl of CPython 3.11.7 beside them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check cryptography==50.0.2 trustme==1.2.1
cat >"$folder/seen.py" <<'END'
import ssl

import trustme
from cryptography import x509
from cryptography.x509.verification import (
    Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError,
)

authority = trustme.CA()
made = authority.issue_cert("a.example")

def by_ssl():
    near, far = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    client = ssl.create_default_context()
    made.configure_cert(server)
    authority.configure_trust(client)
    ends = [
        client.wrap_bio(near, far, server_hostname="a.example"),
        server.wrap_bio(far, near, server_side=True),
    ]
    for turn in range(8):
        try:
            ends[turn % 2].do_handshake()
        except ssl.SSLWantReadError:
            pass
    return ends[0].getpeercert()["subjectAltName"][0][1]

def by_cryptography(builder):
    root = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    leaf = x509.load_pem_x509_certificate(made.cert_chain_pems[0].bytes())
    verifier = builder.store(Store([root])).build_server_verifier(x509.DNSName("a.example"))
    try:
        return f"a chain of {len(verifier.verify(leaf, []))}"
    except VerificationError as error:
        return str(error).partition(" (")[0]

print("ssl:", by_ssl())
print("cryptography:", by_cryptography(PolicyBuilder()))
permitting = PolicyBuilder().extension_policies(
    ca_policy=ExtensionPolicy.webpki_defaults_ca(),
    ee_policy=ExtensionPolicy.permit_all().require_present(
        x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
    ),
)
print("cryptography, of either kind:", by_cryptography(permitting))
END
seen=$("$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = 'ssl: a.example
cryptography: validation failed: EE subjectAltName MUST NOT be critical when subject is nonempty
cryptography, of either kind: a chain of 2' ] || { echo 'it has changed'; exit 1; }
