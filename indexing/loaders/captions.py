"""What captions and alternative texts look like, in any format."""

from __future__ import annotations

import re

FIGURE_CAPTION = re.compile(
    r"(?i:fig(?:ure|\.)?|chart|graph|diagram|exhibit|map|plate|photo(?:graph)?|image|scheme|illustration"
    r"|abb(?:ildung|\.)?)"
    r"\s*[A-Z]?\d+(?:[.\-–]\d+)*[a-z]?(?:\s*[.:|–—-](?:\s|$)|\s+(?=[A-Z(\[])|\s*$)"
)  # "Figure 3: The mill", not "Figure 3 shows the mill"
TABLE_CAPTION = re.compile(r"(?i:tab(?:le|\.)?)\s*[A-Z]?\d+\s*[.:–|-]")
# An alternative text that is only the name of a file says nothing.
FILE_NAME = re.compile(r"\.(?:jpe?g|png|svg|gif|webp|tiff?)$", re.IGNORECASE)
