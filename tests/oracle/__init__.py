"""The checker for complete write logs, as the simulation and the fault tests have them.

`eras` reads from a schedule's records what it should have fired; `written` compares that with the jobs in the log.
`naq.observe.verify` judges live systems, where part of the log is gone; it is tested against this checker.
"""
