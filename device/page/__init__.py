"""The device's web pages: technicians use them on a phone in the orchard, managers on a desktop.

They need no network beyond the device and load nothing from elsewhere; without JavaScript they lose comfort only.
"""
