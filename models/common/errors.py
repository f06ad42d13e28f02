"""What users can cause: every error that a door turns into one line is a FolioError."""

from __future__ import annotations


class FolioError(Exception):
    """What a user can cause. The message is one line that says what is wrong and what mends it."""


class DataError(FolioError):
    """A file of questions that cannot be read."""


class WeightsError(FolioError):
    """Weights that are missing, damaged, or of another version."""


class TrainError(FolioError):
    """A training run that cannot be begun, or gone on with, as it was asked for."""


class WritingError(FolioError):
    """An answer that cannot be written in the way that was asked for."""


class AttentionError(FolioError):
    """A way of attending that cannot be, or does not go with what is asked beside it."""


class LayoutError(FolioError):
    """Processes that cannot share a model as they were asked to."""
