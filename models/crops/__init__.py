"""Crop maps from series of pixels: weighted LSTM, LSTM-MTL, recurrent U-Net, and the pipeline they share."""

from models.torchvision_guard import mend_torchvision

mend_torchvision()  # lightning imports torchvision
