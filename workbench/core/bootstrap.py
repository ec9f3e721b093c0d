"""Create the project's virtual environment in `.venv`; needs nothing but Python itself.

`python3 -m workbench.core.bootstrap` does nothing when the environment is already that of the lock
files. An environment without its mark was interrupted: it is removed and rebuilt.

The packages of `requirements.lock` come first, each checked against its hash, so that nothing else
can bring one in unchecked. torch follows without its dependencies: which build of it a machine gets
depends on the machine's index, so its wheel is compared with the builds that `torch.lock` knows. Of
a known build the GPU libraries are checked too; of any other nothing is, and the set-up says so.
"""

from __future__ import annotations  # an older Python has to get as far as the error message

import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
BEFORE = ROOT / ".venv.before"
MARK = VENV / ".complete"
LOCK = ROOT / "requirements.lock"
TORCH_LOCK = ROOT / "torch.lock"
TORCH_RECORD = VENV / "torch.json"
DIST_INFOS = "lib/*/site-packages/*.dist-info"
VERSIONS = ((3, 13), (3, 12), (3, 11))
SHOW_EVERY_S = 1.0 if sys.stderr.isatty() else 10.0


def main() -> int:
    """Make the environment if it is not there; return an exit code."""
    if sys.version_info[:2] not in VERSIONS:
        return _other_python()
    if _is_complete():
        return 0
    with (ROOT / ".venv.lock").open("w") as handle:
        # The system frees this lock when the process ends, however it ends.
        fcntl.flock(handle, fcntl.LOCK_EX)
        if _is_complete():
            return 0
        if MARK.is_file():
            # Of another lock: kept until the new one is whole.
            shutil.rmtree(BEFORE, ignore_errors=True)
            VENV.rename(BEFORE)
        try:
            # pip inherits the lock, so that a pip left behind by a killed parent keeps it.
            _build(handle.fileno())
        except (subprocess.CalledProcessError, OSError, KeyboardInterrupt) as error:
            shutil.rmtree(VENV, ignore_errors=True)
            if BEFORE.is_dir():
                BEFORE.rename(VENV)
            interrupted = isinstance(error, KeyboardInterrupt)
            say(f"error: {'interrupted' if interrupted else error}")
            say("do: fix the cause, then start again; nothing half-made is left")
            return 8 if interrupted else 9
        shutil.rmtree(BEFORE, ignore_errors=True)
    return 0


def _other_python() -> int:
    """Start again with a fitting interpreter, if there is one on the path."""
    for major, minor in VERSIONS:
        command = [f"python{major}.{minor}", "-m", "workbench.core.bootstrap"]
        try:
            subprocess.run([command[0], "-c", ""], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return subprocess.run(command, cwd=ROOT, check=False).returncode
    say(f"error: this is Python {sys.version.split()[0]}\nexpected: Python 3.11, 3.12 or 3.13")
    return 9


def _is_complete() -> bool:
    return MARK.is_file() and MARK.read_text() == _fingerprint()


def _fingerprint() -> str:
    """What the environment is made from; it changes when the environment has to."""
    import tomllib  # from Python 3.11 on

    digest = hashlib.sha256(f"{sys.version_info[:2]} {VENV}".encode())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {name: project[name] for name in ("build-system", "project")}
    digest.update(json.dumps(wanted, sort_keys=True).encode())
    digest.update(LOCK.read_bytes() + TORCH_LOCK.read_bytes())
    return digest.hexdigest()


def _build(lock: int) -> None:
    shutil.rmtree(VENV, ignore_errors=True)
    began = time.monotonic()
    count = len(pins(LOCK))
    say(f"[1/4] making {VENV}")
    subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    say(f"[2/4] installing {count} packages from {LOCK.name}, each checked against its hash")
    _pip("install", ["--no-deps", "--require-hashes", "--requirement", str(LOCK)], lock, count)
    say(f"[3/4] installing {torch_pin()}: on Linux several GB with its GPU libraries")
    _install_torch(lock)
    say("[4/4] installing this project, editable")
    _pip("install", ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)], lock)
    MARK.write_text(_fingerprint())
    say(f"environment ready after {time.monotonic() - began:.0f} s")


def _install_torch(lock: int) -> None:
    """Install torch from a wheel whose hash is known or at least told, then what only it needs."""
    folder = VENV / "wheels"
    _pip("download", ["--no-deps", f"--dest={folder}", torch_pin()], lock)
    (wheel,) = folder.glob("torch-*.whl")
    build = torch_build(wheel)
    say(f"      {build['wheel']}: {build['check']}")
    exactly, before = folder / "torch.txt", installed()
    exactly.write_text(f"{torch_pin()} --hash=sha256:{build['sha256']}\n")
    _pip(
        "install",
        ["--no-deps", "--require-hashes", "--no-index", f"--find-links={folder}",
         f"--requirement={exactly}"],
        lock,
    )  # fmt: skip
    if build["known"]:
        needed = ["--no-deps", "--require-hashes", f"--requirement={TORCH_LOCK}"]
    else:
        constraints = folder / "constraints.txt"
        constraints.write_text("\n".join(pins(LOCK)) + "\n")
        needed = [f"--constraint={constraints}", torch_pin()]
    _pip("install", needed, lock)
    build["brought"] = sorted(installed() - before - {f"torch-{wheel.name.split('-')[1]}"})
    checked = "checked against their hashes" if build["known"] else "not checked against any hash"
    if build["brought"]:
        say(f"      with {len(build['brought'])} packages that only torch needs, {checked}")
    TORCH_RECORD.write_text(json.dumps(build))
    shutil.rmtree(folder)


def torch_build(wheel: Path) -> dict[str, Any]:
    """Name and sha256 of a wheel of torch; whether `torch.lock` knows it, also in words."""
    with wheel.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    pin = re.search(r"(?m)^torch==(\S+)((?:.*\\\n)+.*)", TORCH_LOCK.read_text())
    assert pin is not None, "torch.lock has no torch"
    known = found in re.findall(r"sha256:(\w{64})", pin[2])
    check = "its hash is that of torch.lock" if known else (
        f"not one of the builds in torch.lock, so not checked (its sha256 is {found})"
    )  # fmt: skip
    return {"wheel": wheel.name, "sha256": found, "known": known, "check": check}


def installed() -> set[str]:
    """Names and versions of what the environment holds, as `name-version`."""
    return {path.name.removesuffix(".dist-info") for path in VENV.glob(DIST_INFOS)}


def pins(lock: Path) -> list[str]:
    """The requirements of a lock, without hashes."""
    return re.findall(r"(?m)^([a-z0-9][^\\\n]*?) \\$", lock.read_text(encoding="utf-8"))


def torch_pin() -> str:
    """The requirement `torch==...` of pyproject.toml: which build it is differs by machine."""
    found = re.search(r'"(torch==[0-9.]+)"', (ROOT / "pyproject.toml").read_text())
    assert found is not None
    return found[1]


def _pip(action: str, arguments: list[str], lock: int, total: int = 0) -> None:
    """Run pip with a bar over its packages; what it says goes to `.venv/setup-N.log`."""
    command = [str(VENV / "bin" / "python"), "-m", "pip", action, "--only-binary=:all:"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar=off", *arguments]
    log = VENV / f"setup-{len(list(VENV.glob('setup-*.log')))}.log"
    with log.open("w") as sink:
        began = shown = time.monotonic()
        process = subprocess.Popen(
            command, stdout=sink, stderr=subprocess.STDOUT, cwd=ROOT, pass_fds=[lock]
        )
        while process.poll() is None:
            time.sleep(0.1)
            if time.monotonic() - shown >= SHOW_EVERY_S:
                shown = time.monotonic()
                show(log.read_text(), total, shown - began)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if process.returncode:
        lines = log.read_text().splitlines()
        # What pip names stands in the lines after its first error, such as a hash that differs.
        first = next((n for n, line in enumerate(lines) if line.startswith("ERROR")), -5)
        raise OSError("pip could not install:\n  " + "\n  ".join(lines[first:][:8]))


def show(log: str, total: int, seconds: float) -> None:
    """One line of progress from what pip has printed so far."""
    taken = re.findall(r"(?m)^(Collecting|Processing|Ignoring|Requirement)", log)
    step, done = "fetching", len(taken)
    if "\nInstalling collected" in log:
        step, done = "installing", len(list(VENV.glob(DIST_INFOS)))
    text = f"{done} packages"
    if total:
        filled = min(20, 20 * done // total)
        text = f"[{'#' * filled}{'.' * (20 - filled)}] {done} of about {total} packages"
    line = f"      {step} {text}, {seconds:.0f} s"
    if sys.stderr.isatty():
        print(f"\r{line:<78.78}", end="", file=sys.stderr, flush=True)
    else:
        say(line)


def say(text: str) -> None:
    """Print to stderr at once."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
