"""The application that the takeover test runs in processes of their own."""

from __future__ import annotations

import os

from naq import FailedTimes, Naq, NotRunSince, Webhook, every
from tests.observe.alerts import functions

app = Naq(name="shop", drain_timeout=5)
app.schedule(every("200ms"), id="nightly")(functions.export)
app.schedule(every("1d"), id="yearly")(functions.fine)
app.alert(FailedTimes(3, schedule="nightly"), to=Webhook(os.environ["HOOK"], timeout=300), name="exports")
app.alert(NotRunSince("5s", schedule="yearly"), to=Webhook(os.environ["HOOK"], timeout=300), name="silence")
