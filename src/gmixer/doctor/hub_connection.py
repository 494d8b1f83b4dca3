"""Whether the Hub can be reached: the only check that uses the network.

Every problem is a warning, because the embedded model and the models in the cache work without the Hub.
"""

from __future__ import annotations

import time
from http import HTTPStatus

from gmixer.doctor.finding import Outcome, ok, warning

TIMEOUT_S = 3.0  # to connect, and again to answer


def hub() -> Outcome:
    """Sends the first request of a download of the preferred model: HEAD. Sends none if HF_HUB_OFFLINE is set."""
    from huggingface_hub import constants

    if constants.is_offline_mode():
        return ok("not asked: HF_HUB_OFFLINE is set; models in the cache work")

    from huggingface_hub import errors, get_hf_file_metadata, get_token, hf_hub_url

    from gmixer.weights.find import PREFERRED_MODEL, hub_repo
    from gmixer.weights.hub import WEIGHTS_FILE
    from gmixer.weights.reaching import WAY_OUT, why_no_connection, within

    endpoint = constants.ENDPOINT
    url = hf_hub_url(hub_repo(PREFERRED_MODEL).id, WEIGHTS_FILE, endpoint=endpoint)
    started_s = time.monotonic()
    try:
        file = within(2 * TIMEOUT_S, lambda: get_hf_file_metadata(url, timeout=TIMEOUT_S, endpoint=endpoint))
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
        words = why_no_connection(error) or "it answers in no form that the Hub's client knows"
        return warning(f"{endpoint} cannot be reached: {words}", f"{WAY_OUT}; models on this machine work without it")
    if not file.commit_hash or not file.size:
        return warning(f"{endpoint} does not answer as a Hub does", "check HF_ENDPOINT and the proxy")
    took_s = time.monotonic() - started_s
    size_mib = file.size / 2**20
    return ok(f"{endpoint} answers in {took_s:.2f} s and has {PREFERRED_MODEL} ({size_mib:.1f} MiB)")
