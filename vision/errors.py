"""The one error of this room: a picture or page that cannot be read. `indexing` turns it into its LoadError."""


class PictureError(Exception):
    """What a user can cause: the message is one line that says what is wrong with the picture, without its path."""
