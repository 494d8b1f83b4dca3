"""Whether the Hub can be reached: the only check that uses the network.

Every problem is a warning, because the embedded model and the models in the cache work without the Hub.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from gmixer.doctor.finding import Outcome, ok, warning
from gmixer.errors import words_of

TIMEOUT_S = 3.0  # to connect, and again to answer


def hub() -> Outcome:
    """Sends the first request of a download of the preferred model: HEAD. Sends none if HF_HUB_OFFLINE is set."""
    from huggingface_hub import constants

    if constants.is_offline_mode():
        return ok("not asked: HF_HUB_OFFLINE is set; models in the cache work")

    from huggingface_hub import errors, get_hf_file_metadata, get_token, hf_hub_url

    from gmixer.weights.find import PREFERRED_MODEL, hub_repo
    from gmixer.weights.hub import WEIGHTS_FILE

    endpoint = constants.ENDPOINT
    url = hf_hub_url(hub_repo(PREFERRED_MODEL).id, WEIGHTS_FILE, endpoint=endpoint)
    started_s = time.monotonic()
    try:
        file = _within(2 * TIMEOUT_S, lambda: get_hf_file_metadata(url, timeout=TIMEOUT_S, endpoint=endpoint))
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        fact = f"{endpoint} answered {status} {HTTPStatus(status).phrase}"
        if status in (401, 403) and get_token():
            return warning(
                f"{fact}: it refuses your token, and so every download",
                "set HF_TOKEN to a valid token, or unset it and run `hf auth logout`: public models need no token",
            )
        if status in (401, 403, 404):
            return warning(
                f"{fact} when asked for {PREFERRED_MODEL}",
                "check HF_ENDPOINT: this Hub does not have the model, or it is not public",
            )
        return warning(fact, "try again in a few minutes; models on this machine work meanwhile")
    except Exception as error:  # of the library, its HTTP client or the resolver; the user's remedy is the same
        words = words_of(error, "it gives no reason")
        return warning(
            f"{endpoint} cannot be reached: {words}",
            "check the connection, the proxy (HTTPS_PROXY) and HF_ENDPOINT; models on this machine work without it",
        )
    if not file.commit_hash or not file.size:
        return warning(f"{endpoint} does not answer as a Hub does", "check HF_ENDPOINT and the proxy")
    took_s = time.monotonic() - started_s
    size_mib = file.size / 2**20
    return ok(f"{endpoint} answers in {took_s:.2f} s and has {PREFERRED_MODEL} ({size_mib:.1f} MiB)")


def _within(limit_s: float, ask: Callable[[], Any]) -> Any:
    """Returns or raises what ask() does, or raises TimeoutError after limit_s. No HTTP client limits a DNS look-up.

    A thread that hangs is not stopped. It ends with the process.
    """
    answers: list[Any] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            answers.append(ask())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit_s)
    if errors:
        raise errors[0]
    if not answers:
        raise TimeoutError(f"no answer within {limit_s:g} s")
    return answers[0]
