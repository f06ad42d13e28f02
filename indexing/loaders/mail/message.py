"""Mail messages (RFC 5322) by the standard library: the headers people read, the text, the attachments' names, the pictures among them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from indexing.loaders.builder import DocumentBuilder
from indexing.loaders.html import page
from indexing.loaders.images.inner_pictures import InnerPictures, from_data_url
from indexing.loaders.registry import Alive
from indexing.loaders.text.decode import check_size, clean
from indexing.types import Document, LoadError

if TYPE_CHECKING:
    from email.message import EmailMessage

HEADERS = ("From", "To", "Cc", "Date", "Subject")


def load(path: Path, alive: Alive) -> Iterator[Document]:
    from email import message_from_bytes, policy

    check_size(path, 200, "mail")
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
        if part.get_content_maintype() == "image":  # one that stood in the text is not put again
            pictures.put(builder, part.get_payload(decode=True), part.get_filename() or "")
    yield builder.build(title=clean(str(message["Subject"] or "")), format="eml")


def _body(builder: DocumentBuilder, message: EmailMessage, alive: Alive, pictures: InnerPictures) -> None:
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return
    try:
        text = part.get_content()
    except (LookupError, UnicodeError):  # a character set that does not exist
        text = (part.get_payload(decode=True) or b"").decode("latin-1")
    if part.get_content_type() == "text/html":
        own = {f"cid:{str(one['Content-ID']).strip().strip('<>')}": one for one in message.walk() if one["Content-ID"]}
        page.feed(builder, page.parse(clean(text)), alive, lambda source: own[source].get_payload(decode=True) if source in own else from_data_url(source), pictures)
        return
    for paragraph in text.replace("\r\n", "\n").split("\n\n"):
        builder.paragraph(paragraph)
