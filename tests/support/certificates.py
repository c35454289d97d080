"""Authorities and certificates that live as long as a test."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def authority(name: str, folder: Path, host: str) -> tuple[Path, ssl.SSLContext]:
    """A new authority's certificate, and a server context with a certificate for `host` that it has signed."""
    now = dt.datetime.now(dt.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, host)]
    plain = x509.CertificateBuilder().issuer_name(names[0]).not_valid_before(now).not_valid_after(now + dt.timedelta(1))
    is_address = host.replace(".", "").isdigit()
    alternative = x509.IPAddress(ipaddress.ip_address(host)) if is_address else x509.DNSName(host)
    root = plain.subject_name(names[0]).public_key(keys[0].public_key()).serial_number(1)
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    leaf = plain.subject_name(names[1]).public_key(keys[1].public_key()).serial_number(2)
    leaf = leaf.add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
    pem, encoding = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    ca_file, chain = folder / f"{name}.pem", folder / f"{name}-chain.pem"
    ca_file.write_bytes(root.sign(keys[0], hashes.SHA256()).public_bytes(encoding))
    chain.write_bytes(
        keys[1].private_bytes(encoding, pem, serialization.NoEncryption())
        + leaf.sign(keys[0], hashes.SHA256()).public_bytes(encoding)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return ca_file, context
