"""What can be wrong with pictures and with what looks at them; `indexing` turns a PictureError into its LoadError."""

from models.common.errors import FolioError


class PictureError(FolioError):
    """What a user can cause: the message is one line that says what is wrong with the picture, without its path."""


class ImageModelError(FolioError):
    """An image model that cannot be opened."""
