"""Crop maps from series of pixels: weighted LSTM, LSTM-MTL, recurrent U-Net, and the pipeline they share."""
