"""The arithmetic of yield: counts to observed yield, correction factor, corrected yield, units.

Pure functions over numbers and NumPy arrays: no files, no network, nothing else of Pomona.
"""
