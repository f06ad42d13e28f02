"""How the app is served: to this machine, from this machine alone, unless its user lets others in.

No analytics, no share links, no fonts from elsewhere. Knows nothing of what the app shows.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.common.errors import FolioError

if TYPE_CHECKING:
    import gradio as gr

LOOPBACK = ("127.0.0.1", "localhost", "::1")
REMOTE = (
    "paths are taken only from this machine, and only while Folio serves it alone (--host 127.0.0.1): "
    "upload the files instead"
)
# The numbers in an answer lead to its sources; those of an earlier answer only once its evidence is shown again.
HEAD = """<script>
window.folioShow = () => {
    const source = document.getElementById(location.hash.slice(1));
    source?.scrollIntoView({block: 'start', behavior: 'smooth'});
};
document.addEventListener('click', (event) => {
    const link = event.target.closest?.('a.cite');
    if (!link) return;
    event.preventDefault();
    location.hash = link.hash;
    folioShow();
}, true);
</script>"""


class HostError(FolioError):
    """A host beyond this machine, without the word that others are meant to come in."""


def check_host(host: str, is_open: bool) -> None:
    """Raises HostError for a host beyond loopback, unless the app `is_open` to others on purpose."""
    if host not in LOOPBACK and not is_open:
        raise HostError(
            f"with --host {host} anyone who reaches this machine can ask, add and remove documents, without a "
            "password: say --open if that is meant"
        )


def is_from_this_machine(request: gr.Request | None) -> bool:
    """Whether a request was made on this machine, by its address, and was not handed on by a proxy."""
    client = getattr(request, "client", None)
    try:
        address = ipaddress.ip_address(client.host)
    except (AttributeError, ValueError):
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback and not {"forwarded", "x-forwarded-for", "x-real-ip"} & {*request.headers}


class Guard:
    """Keeps the page at home: the browser is told to load nothing from elsewhere, and the template's links there go.

    The policy holds for all that a document or a model could bring into the page, too.
    """

    POLICY = (
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
        "worker-src 'self' blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'"
    )
    ELSEWHERE = re.compile(rb'<meta[^>]*content="https?://[^>]*>')

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        held: list[dict[str, Any]] = []

        async def guarded(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"], (b"content-security-policy", self.POLICY.encode()),
                    (b"referrer-policy", b"no-referrer"), (b"x-content-type-options", b"nosniff"),
                ]
                if scope["path"] == "/":
                    held.append(message)
                    return
            elif held and not message.get("more_body"):
                start, body = held.pop(), self.ELSEWHERE.sub(b"", message["body"])
                start["headers"] = [(name, value) for name, value in start["headers"] if name != b"content-length"]
                start["headers"].append((b"content-length", str(len(body)).encode()))
                await send(start)
                message["body"] = body
            await send(message)

        await self.app(scope, receive, guarded if scope["type"] == "http" else send)


def launch(app: gr.Blocks, host: str = LOOPBACK[0], port: int | None = None) -> str:
    """Serve the app in threads of its own; its address.

    port: None = GRADIO_SERVER_PORT, else the first free one from 7860. Raises OSError where that is taken.
    """
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    middleware = [Middleware(Guard)]
    if host in LOOPBACK:  # a web page elsewhere that gives its name this address must not reach the index
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"]))
    _, address, _ = app.launch(
        server_name=host, server_port=port, prevent_thread_lock=True, quiet=True, share=False, inbrowser=False,
        ssr_mode=False, pwa=False, mcp_server=False, enable_monitoring=False, run_history=False, footer_links=[],
        allowed_paths=[], show_error=False, num_workers=0, app_kwargs={"middleware": middleware}, theme=_theme(),
        css_paths=Path(__file__).with_name("style.css"), head=HEAD,
    )
    return address


def _theme() -> gr.themes.Base:
    import gradio as gr

    system = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Liberation Sans", "sans-serif"]
    mono = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace"]
    return gr.themes.Base(
        primary_hue="teal", neutral_hue="stone", font=system, font_mono=mono,
        radius_size="sm", spacing_size="sm", text_size="md",
    )
