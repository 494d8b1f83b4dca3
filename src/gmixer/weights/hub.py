"""The Hugging Face Hub: repositories by name, the cache that timm shares, and fetching what the cache lacks.

huggingface_hub does the network, and with it HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, the progress bar and a resumed
connection. Ours are two things: a look into the cache without its imports, which cost a fifth of a cold start, and the
comparison of what arrived with the checksum that the Hub gave; the library compares the sizes only.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from gmixer.errors import InputError, WeightsError

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"

_PREFIX = re.compile(r"hf[-_]hub:", re.IGNORECASE)  # timm takes both spellings, in any case


@dataclass(frozen=True, slots=True)
class Repo:
    """A repository on the Hub. str() is what a user calls it, and what `gmixer pull` takes."""

    id: str  # organization/model
    revision: str | None = None  # branch, tag or commit; None is the main branch
    known_as: str | None = None  # the model's name in gmixer's table, where it has one

    @classmethod
    def parse(cls, name: str) -> Repo | None:
        """`hf-hub:organization/model[@revision]`; None for a name without that prefix. Raises InputError."""
        prefix = _PREFIX.match(name)
        return cls.of(name[prefix.end() :]) if prefix else None

    @classmethod
    def of(cls, repo_id: str) -> Repo:
        """`organization/model[@revision]`. Raises InputError for anything else."""
        name, at, revision = repo_id.partition("@")
        parts = name.split("/")
        sound = len(parts) == 2 and all(re.fullmatch(r"[\w-][\w.-]*", part, re.ASCII) for part in parts)
        if not sound or (at and not re.fullmatch(r"[\w-][\w./-]*", revision, re.ASCII)) or ".." in repo_id:
            raise InputError(f"{repo_id!r} is no repository; wanted hf-hub:organization/model or …/model@revision")
        return cls(name, revision or None)

    def __str__(self) -> str:
        return self.known_as or f"hf-hub:{self.id}" + (f"@{self.revision}" if self.revision else "")


def cached(repo: Repo, filename: str, *, cache_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """The file as the cache holds it of the repository's revision, or None. No network."""
    folder = cache_folder(cache_dir) / ("models--" + repo.id.replace("/", "--"))
    revision = repo.revision or "main"
    try:
        commit = (folder / "refs" / revision).read_text(encoding="utf-8").strip()
    except OSError:
        commit = revision  # a commit has no ref of its own
    path = folder / "snapshots" / commit / filename
    return path if path.is_file() else None


def cache_folder(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """cache_dir, or the user's own cache as HF_HUB_CACHE and HF_HOME say."""
    if cache_dir is None:
        from huggingface_hub.constants import HF_HUB_CACHE  # this module alone: 10 ms

        return Path(HF_HUB_CACHE)
    return Path(cache_dir)


def fetch(repo: Repo, filename: str, *, cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """The file as the Hub has it now, in the cache afterwards.

    Where the Hub cannot be reached but the cache holds the file, that one. Raises WeightsError, in one sentence.
    """
    from huggingface_hub import hf_hub_download

    folder = cache_folder(cache_dir)
    try:
        path = Path(hf_hub_download(repo.id, filename, revision=repo.revision, cache_dir=folder))
    except Exception as error:  # of the library, its HTTP client, the file system: to the user they are one thing
        raise WeightsError(f"{repo}: {_why_not(error, repo, filename, folder)}") from error
    _compare_checksum(path, repo)
    return path


def upload(folder: Path, repo: Repo, *, private: bool | None, token: str | None, message: str) -> str:
    """Makes the repository where there is none, commits the folder's files to it, returns its address.

    private, token: None is what the account and HF_TOKEN say. Raises WeightsError, in one sentence.
    """
    from huggingface_hub import HfApi, errors

    hub = HfApi(token=token)
    try:
        address = hub.create_repo(repo.id, private=private, exist_ok=True)
        hub.upload_folder(repo_id=repo.id, folder_path=folder, revision=repo.revision, commit_message=message)
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        refused = status in (401, 403)
        way_out = "set HF_TOKEN to a token that may write to it" if refused else "try again in a few minutes"
        words = _status_words(status)
        raise WeightsError(f"{repo}: {hub.endpoint} answered {words} and took nothing; {way_out}") from error
    except Exception as error:  # of the library, its HTTP client, the file system
        words = " ".join(str(error).split()) or type(error).__name__
        raise WeightsError(f"{repo}: not uploaded to {hub.endpoint} ({words}); check the connection") from error
    return str(address)


def _compare_checksum(path: Path, repo: Repo) -> None:
    """The cache names a blob by the ETag: SHA-256 of a large file, and of a small one git's SHA-1."""
    import hashlib  # with OpenSSL 5 ms that no start of the command needs

    blob = path.resolve()
    hex_digits = len(blob.name) if re.fullmatch(r"[0-9a-f]+", blob.name) else 0
    with open(blob, "rb") as file:
        if hex_digits == 64:
            got = hashlib.file_digest(file, "sha256").hexdigest()
        elif hex_digits == 40:
            head = b"blob %d\0" % os.fstat(file.fileno()).st_size
            got = hashlib.sha1(head + file.read(), usedforsecurity=False).hexdigest()
        else:
            return  # a copy, where the file system has no links: nothing here tells the checksum
    if got != blob.name:
        blob.unlink()
        path.unlink(missing_ok=True)
        raise WeightsError(
            f"{repo}: {path.name} arrived damaged, with checksum {got[:12]}… where the Hub says "
            f"{blob.name[:12]}…, and was deleted; fetch it again: gmixer pull {repo}"
        )


def _why_not(error: BaseException, repo: Repo, filename: str, cache: Path) -> str:
    from huggingface_hub import constants, errors

    if isinstance(error, errors.LocalEntryNotFoundError):  # the reason for which nothing was looked for on the Hub
        error = error.__cause__ or error
    hub = constants.ENDPOINT
    match error:
        case errors.OfflineModeIsEnabled():
            return (
                f"{filename} is not on this machine (looked in {cache}), and HF_HUB_OFFLINE forbids to fetch it; unset "
                f"it and run gmixer pull {repo}, or pass the folder or the .safetensors file that holds it"
            )
        case errors.GatedRepoError():
            return f"its owner lets in who has asked: ask at {hub}/{repo.id}, then set HF_TOKEN to your token"
        case errors.RevisionNotFoundError():
            return f"{hub} has no revision {repo.revision!r} of it; leave out @{repo.revision}, or correct it"
        case errors.RepositoryNotFoundError():
            return f"{hub} has no such repository, or a private one; check the name, or set HF_TOKEN to your token"
        case errors.EntryNotFoundError():
            return f"it holds no {filename} on {hub}; take another repository or revision"
        case errors.HfHubHTTPError():
            status = error.response.status_code
            ways_out = {401: "set HF_TOKEN to a valid token", 403: "set HF_TOKEN to a token that may read it"}
            way_out = ways_out.get(status, "try again in a few minutes")
            return f"{hub} answered {_status_words(status)} when asked for {filename}; {way_out}"
        case errors.FileMetadataError():
            return f"{hub} does not answer as a Hub does; check HF_ENDPOINT and the proxy"
        case OSError(errno=int()):
            return (
                f"{filename} could not be stored: {error.strerror}; the cache is {cache}, set HF_HUB_CACHE to another"
            )
    words = " ".join(str(error).split()) or type(error).__name__
    return f"{filename} could not be fetched from {hub} ({words}); check the connection and try again"


def _status_words(status: int) -> str:
    from http import HTTPStatus  # 2 ms that no start of the command needs

    return f"{status} {HTTPStatus(status).phrase}"
