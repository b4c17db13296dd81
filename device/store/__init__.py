"""The device's records: one SQLite file and a folder of photos.

Everything that changes a record goes through this package, in one transaction with the message that carries the
change to the server. Reading for people goes through :mod:`device.queries`.
"""

from device.store.database import FILE_NAME, Store
from device.store.photo_files import PhotoFiles

__all__ = ["FILE_NAME", "PhotoFiles", "Store"]
