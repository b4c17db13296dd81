"""Trees that got their code in the field, and the code the server has given them since.

What is held stays as the device sent it. Only what it is about, its natural key, names the tree by the server's code,
so that a tree under two codes counts once.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from cloud_sync.documents import RegistryDocument
from cloud_sync.messages import BODIES
from cloud_sync.server.database import Base, Record

# types whose records are about a tree
_OF_A_TREE = tuple(kind for kind, body in BODIES.items() if "tree" in body.model_fields and kind != "photo")


class TreeCode(Base):
    """A code that was given in the field, and the tree it means."""

    __tablename__ = "tree_code"

    orchard: Mapped[str] = mapped_column(String(200), primary_key=True)
    block: Mapped[str] = mapped_column(String(200), primary_key=True)
    code: Mapped[str] = mapped_column(String(200), primary_key=True)
    tree: Mapped[str] = mapped_column(String(200))


class TreeCodes:
    """The codes given in the field, as they were when this was read.

    Args:
        session: a view of the database.
    """

    def __init__(self, session: Session) -> None:
        rows = session.scalars(select(TreeCode))
        self._trees = {(row.orchard, row.block, row.code): row.tree for row in rows}

    def concern(self, kind: str) -> bool:
        """Whether a record of a type may be about a tree that has another code."""
        return bool(self._trees) and kind in _OF_A_TREE

    def natural_key(self, kind: str, body: Mapping[str, Any], as_sent: str) -> str:
        """What a record is about, with the server's code of its tree.

        Args:
            kind: type of the record.
            body: what it says.
            as_sent: its natural key by its own words.
        """
        if not self.concern(kind):
            return as_sent
        tree = self.code_of(body)
        return as_sent if tree is None else BODIES[kind].model_validate({**body, "tree": tree}).natural_key()

    def code_of(self, body: Mapping[str, Any]) -> str | None:
        """The code that the server has given to the tree of a record; None where it has given none."""
        orchard, block, code = (_plain(body.get(field)) for field in ("orchard", "block", "tree"))
        return self._trees.get((orchard, block, code))

    def apply(self, session: Session) -> int:
        """Give the records that are held the keys that new ones would get. Returns how many changed."""
        changed = 0
        merged = {(orchard, block) for orchard, block, _ in self._trees}
        for orchard, block in session.execute(select(Record.orchard, Record.block).distinct()).all():
            if (_plain(orchard), _plain(block)) not in merged:
                continue
            of_block = Record.orchard == orchard, Record.block == block, Record.type.in_(_OF_A_TREE)
            for row in session.scalars(select(Record).where(*of_block)):
                key = self.natural_key(row.type, row.body, row.natural_key)
                if key != row.natural_key:
                    row.natural_key = key
                    changed += 1
        return changed


def merge_trees(session: Session, registry: RegistryDocument) -> None:
    """Take over what a registry says of codes that were given in the field; inside a transaction.

    A code that an earlier registry gave to a tree means what the latest says.
    """
    for block in registry.blocks:
        for tree in block.registered:
            for code in tree.was:
                place = (_plain(registry.orchard), _plain(block.block), _plain(code))
                session.merge(TreeCode(orchard=place[0], block=place[1], code=place[2], tree=tree.tree))
    session.flush()
    TreeCodes(session).apply(session)


def _plain(name: object) -> str:
    return unicodedata.normalize("NFC", name) if isinstance(name, str) else ""
