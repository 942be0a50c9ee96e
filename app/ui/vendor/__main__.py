"""Bundle the packages of the lock again: `make vendor`, which needs Node.

It has let npm fetch each package, and compare it with its hash in the lock. esbuild makes one module of each `*.js` file beside
this, for browsers of the last three years. The manifest says which packages are in which module, under which licences; a test
compares it with the files.
"""

import json
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

_SOURCES = Path(__file__).parent
_TARGET = _SOURCES.parent / "static" / "vendor"
_BUILD = _SOURCES.parents[2] / "build" / "vendor"
_BROWSERS = "es2022"


def main() -> None:
    """Write the modules, the manifest and the licences."""
    modules: dict[str, Any] = {}
    licences: dict[str, str] = {}
    for source in sorted(_SOURCES.glob("*.js")):
        names = _bundle(source.name)
        packages = [_describe(name) for name in names]
        modules[source.name] = {
            "sha256": sha256((_TARGET / source.name).read_bytes()).hexdigest(),
            "packages": packages,
        }
        licences |= {name: _licence_text(name) for name in names}
    (_TARGET / "manifest.json").write_text(json.dumps(modules, indent=2) + "\n", encoding="utf-8")
    texts = [f"{name}\n{'=' * len(name)}\n\n{text.strip()}\n" for name, text in sorted(licences.items())]
    (_TARGET / "LICENCES.txt").write_text("\n\n".join(texts), encoding="utf-8")


def _bundle(name: str) -> list[str]:
    """Bundle a module and return the names of the packages in it."""
    options = ["--bundle", "--format=esm", "--minify", "--legal-comments=none", f"--target={_BROWSERS}"]
    options += ["--log-level=warning", "--metafile=meta.json", f"--outfile={_TARGET / name}"]
    shutil.copy(_SOURCES / name, _BUILD)
    subprocess.run(["node_modules/.bin/esbuild", name, *options], cwd=_BUILD, check=True)
    outputs: dict[str, Any] = json.loads((_BUILD / "meta.json").read_text(encoding="utf-8"))["outputs"]
    (output,) = outputs.values()
    paths = [
        path.rpartition("node_modules/")[2].split("/") for path, own in output["inputs"].items() if own["bytesInOutput"]
    ]
    return sorted({"/".join(path[: 1 + path[0].startswith("@")]) for path in paths if path[0] != name})


def _describe(name: str) -> dict[str, str]:
    package = json.loads((_BUILD / "node_modules" / name / "package.json").read_text(encoding="utf-8"))
    return {"name": name, "version": package["version"], "licence": package["license"]}


def _licence_text(name: str) -> str:
    folder = _BUILD / "node_modules" / name
    paths = sorted(path for path in folder.iterdir() if path.name.lower().startswith(("licence", "license", "copying")))
    return (
        paths[0].read_text(encoding="utf-8")
        if paths
        else f"{_describe(name)['licence']}, see {name} in the registry of npm."
    )


if __name__ == "__main__":
    main()
