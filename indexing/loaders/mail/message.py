"""Mail messages (RFC 5322), by the standard library -> headers, text, names of attachments, attached pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from indexing.loaders.builder import DocumentBuilder
from indexing.loaders.decode import check_size, clean
from indexing.loaders.html import page
from indexing.loaders.images.inner_pictures import InnerPictures, from_data_url
from indexing.loaders.loader import Alive
from indexing.types import Document, LoadError

if TYPE_CHECKING:
    from email.message import EmailMessage

LIMIT_MB = 200
HEADERS = ("From", "To", "Cc", "Date", "Subject")


def load(path: Path, alive: Alive) -> Iterator[Document]:
    from email import message_from_bytes, policy

    check_size(path, LIMIT_MB, "mail")
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    if not any(message[name] for name in HEADERS):
        raise LoadError("not a mail message: no From, To, Date or Subject")
    alive()
    builder = DocumentBuilder()
    builder.paragraph("\n".join(f"{name}: {' '.join(str(message[name]).split())}" for name in HEADERS if message[name]))
    pictures = InnerPictures(alive)
    _body(builder, message, alive, pictures)
    names = [part.get_filename() for part in message.walk() if part.get_filename()]
    builder.paragraph(f"Attachments: {', '.join(names)}" if names else "")
    for part in message.walk():
        if part.get_content_maintype() == "image":  # `pictures` skips those that the text showed
            pictures.put(builder, part.get_payload(decode=True), part.get_filename() or "")
    yield builder.build(title=clean(str(message["Subject"] or "")), format="eml")


def _body(builder: DocumentBuilder, message: EmailMessage, alive: Alive, pictures: InnerPictures) -> None:
    """Append the text: the plain part, or else the HTML part."""
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return
    try:
        text = part.get_content()
    except (LookupError, UnicodeError):  # a character set that does not exist
        text = (part.get_payload(decode=True) or b"").decode("latin-1")
    if part.get_content_type() == "text/html":
        own = {f"cid:{str(one['Content-ID']).strip().strip('<>')}": one for one in message.walk() if one["Content-ID"]}

        def resolve(source: str) -> bytes | None:
            return own[source].get_payload(decode=True) if source in own else from_data_url(source)

        page.feed(builder, page.parse(clean(text)), alive, resolve, pictures)
        return
    for paragraph in text.replace("\r\n", "\n").split("\n\n"):
        builder.paragraph(paragraph)
