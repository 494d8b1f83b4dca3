"""Whether the Hub can be reached: one request without the library's tries, which take 23 s where no name resolves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

LIMIT_S = 4.0  # for the look-up of the name, the connection and the answer, together
WAY_OUT = "check the connection, the proxy (HTTPS_PROXY) and HF_ENDPOINT"

_reached: set[str] = set()  # endpoints that answered in this process: they are not asked again


def why_unreachable() -> str | None:
    """One sentence; None for a Hub that answers, however it answers, and in offline mode."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined] # its older place, which all have

    endpoint = constants.ENDPOINT
    if constants.is_offline_mode() or endpoint in _reached:
        return None
    if not endpoint.startswith(("http://", "https://")):
        return f"HF_ENDPOINT is {endpoint!r}, no address; unset it, or set it to one such as https://huggingface.co"
    try:
        # The library's own client: its proxies and certificates are those of the download.
        within(LIMIT_S, lambda: get_session().head(endpoint, timeout=LIMIT_S))
    except Exception as error:  # of the library's HTTP client, which was another one in older versions
        why = why_no_connection(error)
        if why and type(error).__name__ != "ReadTimeout":  # a slow server may answer the library's own tries
            return f"{endpoint} cannot be reached: {why}; {WAY_OUT}"
        return None
    _reached.add(endpoint)
    return None


def why_no_connection(error: BaseException) -> str | None:
    """In words, by the first cause; None for an error after a connection was made."""
    import socket
    import ssl

    for cause in _causes(error):
        match cause:
            case socket.gaierror():
                return "its name does not resolve"
            case ConnectionRefusedError():
                return "the connection is refused"
            case ssl.SSLCertVerificationError():
                return "its certificate is not trusted here"
            case TimeoutError():
                return "no answer in time"
            case OSError() if cause.strerror and not isinstance(cause, ConnectionResetError):
                return cause.strerror[:1].lower() + cause.strerror[1:]
    names = {kind.__name__ for kind in type(error).__mro__}
    return "no connection is made" if names & {"ConnectError", "ConnectTimeout", "ProxyError"} else None


def within(limit_s: float, ask: Callable[[], T]) -> T:
    """Returns or raises what ask() does, or raises TimeoutError after limit_s. No HTTP client limits a DNS look-up.

    A thread that hangs is not stopped. It ends with the process.
    """
    answers: list[T] = []
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
        raise TimeoutError
    return answers[0]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error that came first, then those that came of it."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    yield from reversed(chain)
