"""How a connection proves who it is: credentials, keys, tokens and certificates out of the settings."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from naq.config import FIELDS, Settings
from naq.exceptions import ConfigError, Problem, shown

__all__ = ["authentication"]


def authentication(settings: Settings) -> dict[str, Any]:
    """The options of nats-py that prove who this client is. Raises `ConfigError` for a file that is missing or unusable."""
    options: dict[str, Any] = {}
    for name, file in (("nats_creds", settings.nats_creds), ("nats_nkey", settings.nats_nkey)):
        if file is not None and not Path(file).is_file():
            raise ConfigError(
                Problem(name, shown(file), "there is no such file", shown(FIELDS[name].metadata["example"]))
            )
    if settings.nats_creds is not None:
        options["user_credentials"] = settings.nats_creds
    if settings.nats_nkey is not None:
        options["nkeys_seed"] = settings.nats_nkey
    if settings.nats_token is not None:
        options["token"] = settings.nats_token
    if settings.nats_user is not None:
        options |= {"user": settings.nats_user, "password": settings.nats_password}
    if settings.tls_ca or settings.tls_cert:
        options["tls"] = _tls(settings)
    return options


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
