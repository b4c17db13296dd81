"""What the pages of device and server share: their look, who may see them, where they listen."""

from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
