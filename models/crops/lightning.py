"""Lightning, once torchvision, which it imports, has been mended where it has to be."""

from models.torchvision_guard import mend_torchvision

mend_torchvision()

import pytorch_lightning as pl  # noqa: E402

__all__ = ["pl"]
