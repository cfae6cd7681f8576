"""The decisions behind `naq.plan`: which due instants fire, which wait, which are recorded as not fired. Pure."""
