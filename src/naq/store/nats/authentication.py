"""How a connection proves who it is: credentials, keys, tokens and certificates out of the settings."""

from __future__ import annotations

import importlib.util
import logging
import ssl
from pathlib import Path
from typing import Any

from naq.config import FIELDS, Settings
from naq.exceptions import ConfigError, Problem, shown

__all__ = ["Certificates", "authentication", "credentials_remedy", "refuses_credentials"]

log = logging.getLogger(__name__)


def authentication(settings: Settings) -> dict[str, Any]:
    """The options of nats-py that prove who this client is. Raises `ConfigError` for a file that is missing or unusable."""
    options: dict[str, Any] = {}
    for name, file in (("nats_creds", settings.nats_creds), ("nats_nkey", settings.nats_nkey)):
        if file is not None and not Path(file).is_file():
            raise ConfigError(
                Problem(name, shown(file), "there is no such file", shown(FIELDS[name].metadata["example"]))
            )
        if file is not None and importlib.util.find_spec("nkeys") is None:
            reason = "signing with it needs the extra naq[nkeys]: pip install 'naq[nkeys]'"
            raise ConfigError(Problem(name, shown(file), reason, "nats_user = 'naq'"))
    if settings.nats_creds is not None:
        options["user_credentials"] = settings.nats_creds
    if settings.nats_nkey is not None:
        options["nkeys_seed"] = settings.nats_nkey
    if settings.nats_token is not None:
        options["token"] = settings.nats_token
    if settings.nats_user is not None:
        options |= {"user": settings.nats_user, "password": settings.nats_password}
    return options


def refuses_credentials(reason: str) -> bool:
    """Whether an error of the server means that it does not accept who the client is."""
    return "authorization violation" in reason.lower() or "authentication" in reason.lower()


def credentials_remedy(reason: str, settings: Settings) -> str:
    """What to do when a server cannot be used for this reason."""
    given = (settings.nats_creds, settings.nats_nkey, settings.nats_token, settings.nats_user)
    if not refuses_credentials(reason):
        return (
            "start a server there (nats-server -js), check the address and the credentials, or leave out nats_url to use "
            "the embedded server"
        )
    if all(each is None for each in given) and not any("@" in url for url in settings.nats_url):
        return "it wants credentials, and none were given: set nats_creds, nats_nkey, nats_token, or nats_user and nats_password"
    return "it does not accept the credentials that were given: check them (naq config shows where they come from)"


class Certificates:
    """The TLS context of the settings, made again when a file that it was read from has changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._files = [
            Path(file) for file in (settings.tls_ca, settings.tls_cert, settings.tls_key) if file is not None
        ]
        self._read: list[tuple[int, int]] | None = None

    def renewed(self) -> ssl.SSLContext | None:
        """The context if it is needed and not handed out yet, or its files changed since; ``None`` otherwise.

        Raises `ConfigError` for files that cannot be read the first time. Later that is logged, and the old ones stay.
        """
        _require_whole(self._settings.nats_creds)
        if not self._files:
            return None
        try:
            stamps = [(status.st_mtime_ns, status.st_ino) for status in map(Path.stat, self._files)]
        except OSError:
            stamps = []  # reading the context says what is wrong
        if stamps == self._read:
            return None
        try:
            context = _tls(self._settings)
        except ConfigError as error:
            if self._read is None:
                raise
            log.error("the renewed certificates cannot be used, the old ones stay: %s", error)
            return None
        self._read = stamps
        return context


def _require_whole(creds: str | None) -> None:
    """Raise `ConfigError` for a credentials file without a token or a seed: nats-py would read on in it for ever."""
    if creds is None or not Path(creds).is_file():
        return
    text = Path(creds).read_bytes()
    if not all(part in text for part in (b"BEGIN NATS USER JWT", b"BEGIN USER NKEY SEED")):
        raise ConfigError(Problem("nats_creds", shown(creds), "has no user token and seed", "'/etc/naq/naq.creds'"))


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca)
        if settings.tls_cert and settings.tls_key:
            context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        files = [settings.tls_ca, settings.tls_cert, settings.tls_key]
        raise ConfigError(
            Problem("tls_ca / tls_cert / tls_key", shown(files), f"cannot be loaded ({error})", "'/etc/naq/ca.pem'")
        ) from None
    return context
