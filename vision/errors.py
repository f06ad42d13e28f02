"""Errors about images and image models. `indexing` turns a PictureError into its own LoadError."""

from models.common.errors import FolioError


class PictureError(FolioError):
    """An image file that cannot be read. The message is one line, without the file's path."""


class ImageModelError(FolioError):
    """An image model that cannot be opened."""
