"""Certificates for receivers of the tests, made by the program openssl: the standard library of Python makes none."""

import shutil
import subprocess
from pathlib import Path

import pytest

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
THIS_MACHINE = "IP:127.0.0.1,DNS:localhost"


class Authority:
    """An authority whose certificate is in the file `certificate`. It keeps all that it makes in a folder."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("the program openssl is missing, so NO CERTIFICATE OF A RECEIVER IS TESTED")
        folder.mkdir(exist_ok=True)
        self._folder, self.certificate, self._key = folder, folder / "ca.pem", folder / "ca.key"
        _openssl("req", "-x509", *_KEY, "-subj", "/CN=test authority", "-days", "2",
                 "-keyout", self._key, "-out", self.certificate)  # fmt: skip

    def issue(self, name: str, *, names: str = THIS_MACHINE, days: int = 2) -> Path:
        """Return a file with a key and its certificate. names: of which it is. days: it has expired if they are negative."""
        request, extension = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        file, certificate = self._folder / f"{name}.pem", self._folder / f"{name}.crt"
        extension.write_text(f"subjectAltName={names}")
        _openssl("req", *_KEY, "-subj", f"/CN={name}", "-keyout", file, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
                 "-days", days, "-extfile", extension, "-out", certificate)  # fmt: skip
        return _append(file, certificate)

    def sign_itself(self, name: str) -> Path:
        """Return a file with a key and a certificate that no authority has signed."""
        file, certificate = self._folder / f"{name}.pem", self._folder / f"{name}.crt"
        _openssl("req", "-x509", *_KEY, "-subj", f"/CN={name}", "-addext", f"subjectAltName={THIS_MACHINE}",
                 "-days", "2", "-keyout", file, "-out", certificate)  # fmt: skip
        return _append(file, certificate)


def _append(file: Path, certificate: Path) -> Path:
    file.write_text(file.read_text() + certificate.read_text())
    return file


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
