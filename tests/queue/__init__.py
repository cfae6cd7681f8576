"""Tests of the queue, one file for each subject."""  # noqa: A005 - named as the room that it tests
