"""What can go wrong between Folio and a language model."""

from models.common.errors import FolioError


class GeneratorError(FolioError):
    """A model that cannot be reached, loaded or understood. The message is one line that says what mends it."""
